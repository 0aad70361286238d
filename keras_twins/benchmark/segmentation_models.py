"""Models of segmentation that are measured: ours, and the peer."""

import functools
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from keras_twins.backbone import TwinsBackbone
from keras_twins.benchmark.keras_steps import keras_program
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Task
from keras_twins.benchmark.torch_models import torch_program
from keras_twins.segmentation import SegmentationCrossEntropy
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet

if TYPE_CHECKING:
    import torch

CLASSES = 150
_MODELS = {"semantic_fpn": SemanticFPN, "upernet": UPerNet}
_AUXILIARY_WEIGHT = 0.4


def build_keras(
    task: Task, head: str, gradient_checkpointing: bool = False
) -> Program:
    """Builds a model of this package.

    Args:
        task: What it is to compute.
        head: `"semantic_fpn"` or `"upernet"`.
        gradient_checkpointing: Whether training computes each block of the
            backbone a second time.

    Returns:
        A `Program`.
    """

    def model() -> keras.Model:
        backbone = TwinsBackbone(
            task.architecture(),
            task.image_shape(),
            final_norm=False,
            gradient_checkpointing=gradient_checkpointing,
        )
        return _MODELS[head](backbone, CLASSES, include_preprocessing=False)

    return keras_program(
        task,
        model,
        labels=functools.partial(_labels, task),
        loss=SegmentationCrossEntropy(),
    )


def build_torch(task: Task, head: str, compiled: bool = False) -> Program:
    """Builds the peer: timm's backbone with a head in plain PyTorch.

    Args:
        task: What it is to compute.
        head: `"semantic_fpn"` or `"upernet"`.
        compiled: Whether it goes through `torch.compile`.

    Returns:
        A `Program`.
    """
    import torch

    from keras_twins.benchmark.torch_segmentation import build_module

    def loss(scores: Any, labels: "torch.Tensor") -> "torch.Tensor":
        entropy = functools.partial(
            torch.nn.functional.cross_entropy, target=labels, ignore_index=255
        )
        if not isinstance(scores, tuple):
            return entropy(scores)
        return entropy(scores[0]) + _AUXILIARY_WEIGHT * entropy(scores[1])

    return torch_program(
        task,
        build_module(task, head),
        compiled=compiled,
        labels=functools.partial(_labels, task),
        loss=loss,
    )


def _labels(task: Task, batch: int) -> np.ndarray:
    """Returns the class of every pixel, the same for every system."""
    shape = (batch, task.size, task.size)
    return np.random.default_rng(1).integers(0, CLASSES, shape)
