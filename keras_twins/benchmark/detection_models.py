"""Detectors that are measured: ours, and their peers.

What fresh weights see is left to chance. In forward passes, every anchor and
every region is therefore biased towards a few classes, which fills the
detections, or every region towards none, which leaves Mask R-CNN no masks.
"""

import dataclasses
import functools
import importlib
from typing import Any

import keras
import numpy as np

from keras_twins.backbone import TwinsBackbone
from keras_twins.benchmark.detection_inputs import CLASSES
from keras_twins.benchmark.detection_inputs import random_truth
from keras_twins.benchmark.detection_inputs import training_batch
from keras_twins.benchmark.inputs import random_images
from keras_twins.benchmark.keras_steps import adamw
from keras_twins.benchmark.keras_steps import keras_program
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Task
from keras_twins.benchmark.torch_models import specialise_shapes
from keras_twins.benchmark.torch_models import torch_program
from keras_twins.detection import MaskRCNN
from keras_twins.detection import RetinaNet

_ANCHORS = 9
_LIKELY_REGION = 4.0
_LIKELY_CLASSES = 3
_CERTAIN = 30.0
_NO_PROGRESS = 1e-9


def build_keras(
    task: Task,
    head: str,
    gradient_checkpointing: bool = False,
    objects: bool = True,
) -> Program:
    """Builds a detector of this package.

    Args:
        task: What it is to compute.
        head: `"retinanet"` or `"mask_rcnn"`.
        gradient_checkpointing: Whether training computes each block of the
            backbone a second time.
        objects: Whether Mask R-CNN finds objects.

    Returns:
        A `Program`.
    """
    models = {
        "retinanet": _retinanet,
        "mask_rcnn": functools.partial(_mask_rcnn, objects=objects),
    }

    def data(batch: int) -> Any:
        if not task.training:
            return random_images(task, batch)
        return training_batch(task, batch, masks=head == "mask_rcnn")

    build = functools.partial(models[head], task, gradient_checkpointing)
    # Mask R-CNN would learn the batch within a few steps, and then have many
    # times the masks to draw.
    optimizer = functools.partial(adamw, _NO_PROGRESS)
    return keras_program(task, build, data=data, optimizer=optimizer)


def build_keras_hub(task: Task) -> Program:
    """Builds KerasHub's RetinaNet on the same backbone.

    Args:
        task: What it is to compute.

    Returns:
        A `Program`.
    """

    def model() -> keras.Model:
        heads = importlib.import_module("keras_twins.integrations.keras_hub")
        layers = importlib.import_module("keras_hub").layers
        return heads.retinanet(
            _backbone(task, False),
            CLASSES,
            include_preprocessing=False,
            prediction_decoder=layers.NonMaxSuppression(
                "xyxy",
                from_logits=True,
                iou_threshold=0.5,
                confidence_threshold=0.05,
                max_detections=100,
            ),
        )

    def data(batch: int) -> Any:
        images = random_images(task, batch)
        if not task.training:
            return images
        truth = random_truth(task, batch)
        return images, {key: truth[key] for key in ("boxes", "labels")}, None

    return keras_program(task, model, data=data)


def build_torch(task: Task, compiled: bool = False) -> Program:
    """Builds the peer: RetinaNet in plain PyTorch on timm's backbone.

    Args:
        task: What it is to compute.
        compiled: Whether all but the decoding and the losses goes through
            `torch.compile`.

    Returns:
        A `Program`.
    """
    import torch

    from keras_twins.benchmark import torch_detection as peer

    network: Any = peer.build_network(task, peer.timm_body(task))
    if not task.training:
        with torch.no_grad():
            network.classes[-1].bias += torch.from_numpy(_anchor_bias())
    if compiled:
        specialise_shapes()
        network = torch.compile(network)
    return torch_program(
        task,
        peer.build_module(task, network),
        labels=functools.partial(random_truth, task),
        loss=peer.module_loss,
    )


def build_yardstick(task: Task) -> Program:
    """Builds timm's backbone alone: a forward pass, whatever is measured.

    Args:
        task: What the others compute.

    Returns:
        A `Program`.
    """
    from keras_twins.benchmark.torch_detection import timm_body

    forward = dataclasses.replace(task, training=False)
    return torch_program(forward, timm_body(task))


def _backbone(task: Task, gradient_checkpointing: bool) -> keras.Model:
    return TwinsBackbone(
        task.architecture(),
        task.image_shape(),
        final_norm=False,
        gradient_checkpointing=gradient_checkpointing,
    )


def _retinanet(task: Task, gradient_checkpointing: bool) -> keras.Model:
    model = RetinaNet(
        _backbone(task, gradient_checkpointing),
        CLASSES,
        include_preprocessing=False,
    )
    if not task.training:
        _add_bias(model.get_layer("bbox_head").classifier, _anchor_bias())
    return model


def _mask_rcnn(
    task: Task, gradient_checkpointing: bool, objects: bool
) -> keras.Model:
    model = MaskRCNN(
        _backbone(task, gradient_checkpointing),
        CLASSES,
        include_preprocessing=False,
        seed=0,
    )
    if not task.training:
        bias = np.zeros(CLASSES + 1, "float32")
        likely = slice(_LIKELY_CLASSES) if objects else slice(CLASSES, None)
        bias[likely] = _LIKELY_REGION if objects else _CERTAIN
        _add_bias(model.box_head.classifier, bias)
    return model


def _anchor_bias() -> np.ndarray:
    """Returns what makes one class of each anchor as likely as not."""
    bias = np.zeros((_ANCHORS, CLASSES), "float32")
    bias[np.arange(_ANCHORS), np.arange(_ANCHORS)] = np.log(99.0)
    return bias.reshape(-1)


def _add_bias(layer: keras.layers.Layer, bias: np.ndarray) -> None:
    known = keras.ops.convert_to_numpy(layer.bias)
    layer.bias.assign(known + bias)
