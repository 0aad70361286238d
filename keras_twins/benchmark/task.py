"""What a worker is asked to compute, and what it answers with."""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from keras_twins.config import TwinsConfig

CLASSES = 1000
"""Number of classes of every model that is measured."""

CLIP_NORM = 5.0
"""Global norm to which every training step clips its gradients."""

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05

Step = Callable[[], Any]
"""Starts one forward pass or training step; returns what to wait for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What a program is to compute.

    Args:
        variant: Name of the architecture.
        config: The architecture, as `TwinsConfig.to_dict` gives it.
        size: Side of the images in pixels.
        dtype: `"float32"` or `"bfloat16"`.
        training: Whether a step trains, or is a forward pass.
        artifacts: The files that the system runs, if it runs any, by batch
            size, as text: JSON has no other keys.
    """

    variant: str
    config: Mapping[str, Any]
    size: int
    dtype: str = "float32"
    training: bool = False
    artifacts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def architecture(self) -> TwinsConfig:
        """Returns the architecture."""
        return TwinsConfig(**self.config)

    def image_shape(self) -> tuple[int, int, int]:
        """Returns `(height, width, channels)` of an image."""
        return (self.size, self.size, 3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """A model that is ready to run.

    Args:
        prepare: Takes a batch size; returns the step on such a batch, which
            lies on the device already.
        wait: Takes what a step returned; returns when it is computed.
        parameters: Number of the trainable values; 0 where it is unknown.
        device: Where it runs.
        memory: Returns the largest memory of the device so far, in bytes;
            `None` where the model lies in the memory of the process.
    """

    prepare: Callable[[int], Step]
    wait: Callable[[Any], object]
    parameters: int = 0
    device: str = "cpu"
    memory: Callable[[], int] | None = None
