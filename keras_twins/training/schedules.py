"""Learning rates over the steps of a training."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class WarmupPolynomialDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Polynomial decay with a linear warm-up, as mmcv has them.

    The decay runs from the first step; the warm-up scales what it gives.

    Args:
        learning_rate: Rate that the decay starts from.
        steps: Number of steps of the whole training.
        power: Exponent of the decay.
        end: Rate after the last step.
        warmup_steps: Number of steps of the warm-up; 0 for none.
        warmup_ratio: Share of the rate in the first step.
        name: Name of the schedule.

    Call arguments:
        step: Number of steps so far.

    Call returns:
        The rate, a scalar.

    Raises:
        ValueError: If a number is out of range.

    Example:

    ```python
    from keras_twins.training import WarmupPolynomialDecay

    schedule = WarmupPolynomialDecay(6e-5, steps=160_000, warmup_steps=1500)
    optimizer = keras.optimizers.AdamW(schedule)
    ```
    """

    def __init__(
        self,
        learning_rate: float,
        steps: int,
        power: float = 1.0,
        end: float = 0.0,
        warmup_steps: int = 0,
        warmup_ratio: float = 1e-6,
        name: str = "warmup_polynomial_decay",
    ):
        super().__init__()
        if steps < 1 or not 0 <= warmup_steps <= steps:
            raise ValueError(
                "`steps` must be positive and `warmup_steps` between 0 and "
                f"`steps`. Received: {steps=}, {warmup_steps=}"
            )
        self.learning_rate = learning_rate
        self.steps = steps
        self.power = power
        self.end = end
        self.warmup_steps = warmup_steps
        self.warmup_ratio = warmup_ratio
        self.name = name

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate of a step."""
        step = ops.cast(step, "float32")
        rest = 1 - ops.minimum(step / self.steps, 1.0)
        rate = (self.learning_rate - self.end) * rest**self.power + self.end
        return rate * _warmup(step, self.warmup_steps, self.warmup_ratio)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "power": self.power,
            "end": self.end,
            "warmup_steps": self.warmup_steps,
            "warmup_ratio": self.warmup_ratio,
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="keras_twins")
class WarmupStepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that falls in steps, with a linear warm-up, as mmcv has it.

    Args:
        learning_rate: The rate after the warm-up.
        boundaries: Steps from which on the rate is multiplied by `factor`,
            each time anew.
        factor: What the rate is multiplied by.
        warmup_steps: Number of steps of the warm-up; 0 for none.
        warmup_ratio: Share of the rate in the first step.
        name: Name of the schedule.

    Call arguments:
        step: Number of steps so far.

    Call returns:
        The rate, a scalar.

    Raises:
        ValueError: If the boundaries do not rise from 1, or there is a
            negative number of steps.

    Example:

    ```python
    from keras_twins.training import WarmupStepDecay

    schedule = WarmupStepDecay(1e-4, (58_640, 80_630), warmup_steps=500)
    optimizer = keras.optimizers.AdamW(schedule)
    ```
    """

    def __init__(
        self,
        learning_rate: float,
        boundaries: Sequence[int],
        factor: float = 0.1,
        warmup_steps: int = 0,
        warmup_ratio: float = 1e-3,
        name: str = "warmup_step_decay",
    ):
        super().__init__()
        rising = [0, *boundaries]
        if sorted(set(rising)) != rising or warmup_steps < 0:
            raise ValueError(
                "`boundaries` must be positive and rise, and `warmup_steps` "
                "must not be negative. Received: "
                f"boundaries={list(boundaries)}, {warmup_steps=}"
            )
        self.learning_rate = learning_rate
        self.boundaries = list(boundaries)
        self.factor = factor
        self.warmup_steps = warmup_steps
        self.warmup_ratio = warmup_ratio
        self.name = name

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate of a step."""
        step = ops.cast(step, "float32")
        rate = ops.convert_to_tensor(self.learning_rate, "float32")
        for boundary in self.boundaries:
            rate = ops.where(step < boundary, rate, rate * self.factor)
        return rate * _warmup(step, self.warmup_steps, self.warmup_ratio)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            "learning_rate": self.learning_rate,
            "boundaries": self.boundaries,
            "factor": self.factor,
            "warmup_steps": self.warmup_steps,
            "warmup_ratio": self.warmup_ratio,
            "name": self.name,
        }


def _warmup(step: Tensor, steps: int, ratio: float) -> Tensor | float:
    """Returns what the rate of a step is scaled by."""
    if not steps:
        return 1.0
    return ratio + (1 - ratio) * ops.minimum(step / steps, 1.0)
