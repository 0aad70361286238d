"""timm's Twins as programs: eager and compiled."""

import contextlib
import functools
import importlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins.benchmark.devices import find_device
from keras_twins.benchmark.inputs import random_images
from keras_twins.benchmark.inputs import random_labels
from keras_twins.benchmark.task import CLASSES
from keras_twins.benchmark.task import CLIP_NORM
from keras_twins.benchmark.task import LEARNING_RATE
from keras_twins.benchmark.task import WEIGHT_DECAY
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Step
from keras_twins.benchmark.task import Task
from keras_twins.config import VARIANTS
from keras_twins.config import TwinsConfig

Truth = np.ndarray | Mapping[str, np.ndarray]
"""What a batch should be taken for, as a loss takes it."""


def build_timm(task: Task, compiled: bool = False) -> Program:
    """Builds timm's model.

    Args:
        task: What it is to compute. bfloat16 is `torch.autocast`.
        compiled: Whether it goes through `torch.compile`.

    Returns:
        A `Program`. It runs in inference mode, or trains with
        `torch.optim.AdamW` and `clip_grad_norm_`.
    """
    return torch_program(task, timm_model(task), compiled=compiled)


def torch_program(
    task: Task,
    module: Any,
    compiled: bool = False,
    labels: Callable[[int], Truth] = random_labels,
    loss: Callable[[Any, Any], Any] | None = None,
) -> Program:
    """Returns a PyTorch module as a program.

    Args:
        task: What it is to compute. bfloat16 is `torch.autocast`.
        module: A `torch.nn.Module` that takes channels first.
        compiled: Whether it goes through `torch.compile`.
        labels: Returns the labels of a batch, or what else the loss takes.
        loss: Loss of the training; by default, cross-entropy of logits.

    Returns:
        A `Program`. It runs in inference mode, or trains with
        `torch.optim.AdamW` and `clip_grad_norm_`.
    """
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model: Any = module.to(device).train(task.training)
    function = model
    if compiled:
        specialise_shapes()
        function = torch.compile(model)
    autocast = contextlib.nullcontext
    if task.dtype == "bfloat16":
        autocast = functools.partial(
            torch.autocast, device.type, dtype=torch.bfloat16
        )

    def prepare(batch: int) -> Step:
        images = torch.from_numpy(random_images(task, batch)).to(device)
        images = images.permute(0, 3, 1, 2).contiguous()
        if not task.training:
            return _inference(function, images, autocast)
        truth = _placed(labels(batch), device)
        criterion = loss or torch.nn.functional.cross_entropy
        return _training(
            model, lambda: criterion(function(images), truth), autocast
        )

    found = find_device("torch")
    return Program(
        prepare=prepare,
        wait=found.wait,
        parameters=sum(value.numel() for value in model.parameters()),
        device=found.name,
        memory=found.memory,
    )


def _placed(truth: Truth, device: Any) -> Any:
    import torch

    if isinstance(truth, Mapping):
        return {key: _placed(value, device) for key, value in truth.items()}
    return torch.from_numpy(truth).to(device)


def timm_model(task: Task) -> Any:
    """Returns timm's model of an architecture.

    Args:
        task: Gives the architecture and the size of the images.

    Returns:
        A `torch.nn.Module` in training mode, with random weights.
    """
    config = task.architecture()
    if VARIANTS.get(task.variant) == config:
        timm = importlib.import_module("timm")
        return timm.create_model(
            f"twins_{task.variant}", pretrained=False, img_size=task.size
        )
    twins = importlib.import_module("timm.models.twins")
    return twins.Twins(
        img_size=task.size,
        num_classes=CLASSES,
        embed_dims=config.embed_dims,
        num_heads=config.num_heads,
        mlp_ratios=config.mlp_ratios,
        depths=config.depths,
        sr_ratios=config.sr_ratios,
        wss=_windows(config),
    )


def _windows(config: TwinsConfig) -> tuple[int, ...] | None:
    return config.window_sizes if "L" in config.attention_pattern[0] else None


def specialise_shapes() -> None:
    """Has `torch.compile` compile for each batch size on its own.

    By default the second size that it meets makes it compile for all sizes,
    and what is measured would depend on the order.
    """
    config: Any = importlib.import_module("torch._dynamo.config")
    config.automatic_dynamic_shapes = False


def _inference(function: Any, images: Any, autocast: Any) -> Step:
    import torch

    def step() -> Any:
        with torch.inference_mode(), autocast():
            return function(images)

    return step


def _training(model: Any, loss_of: Callable[[], Any], autocast: Any) -> Step:
    import torch

    optimizer = torch.optim.AdamW(
        model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )

    def step() -> Any:
        optimizer.zero_grad()
        with autocast():
            loss = loss_of()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        return loss

    return step
