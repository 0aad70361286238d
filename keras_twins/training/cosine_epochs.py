"""The learning rate of a training in epochs."""

import math
from typing import Any

import keras
from keras import ops

from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class WarmupCosineEpochs(keras.optimizers.schedules.LearningRateSchedule):
    """A cosine over epochs with a linear warm-up, as timm has it.

    The rate is the same for all steps of an epoch. The cosine runs from the
    first epoch; the warm-up hides its start.

    Args:
        learning_rate: Rate that the cosine starts from.
        steps_per_epoch: Number of steps of an epoch.
        epochs: Number of epochs of the whole training.
        warmup_epochs: Number of epochs of the warm-up; 0 for none.
        warmup_learning_rate: Rate of the first epoch of the warm-up.
        end: Rate after the last epoch.
        delay: Epochs by which the rate comes late. The scripts of DeiT and
            Twins have 1: they tell timm the number of the epoch that has just
            ended, so that the first two epochs have the first rate.
        name: Name of the schedule.

    Call arguments:
        step: Number of steps so far.

    Call returns:
        The rate, a scalar.

    Raises:
        ValueError: If a number is out of range.

    Reference:
        - [SGDR](https://arxiv.org/abs/1608.03983)

    Example:

    ```python
    from keras_twins.training import WarmupCosineEpochs

    schedule = WarmupCosineEpochs(1e-3, 1251, epochs=300, warmup_epochs=5)
    optimizer = keras.optimizers.AdamW(schedule)
    ```
    """

    def __init__(
        self,
        learning_rate: float,
        steps_per_epoch: int,
        epochs: int,
        warmup_epochs: int = 0,
        warmup_learning_rate: float = 1e-6,
        end: float = 1e-5,
        delay: int = 0,
        name: str = "warmup_cosine_epochs",
    ):
        super().__init__()
        if min(steps_per_epoch, epochs) < 1 or min(warmup_epochs, delay) < 0:
            raise ValueError(
                "`steps_per_epoch` and `epochs` must be positive, and "
                "`warmup_epochs` and `delay` must not be negative. Received: "
                f"{steps_per_epoch=}, {epochs=}, {warmup_epochs=}, {delay=}"
            )
        self.learning_rate = learning_rate
        self.steps_per_epoch = steps_per_epoch
        self.epochs = epochs
        self.warmup_epochs = warmup_epochs
        self.warmup_learning_rate = warmup_learning_rate
        self.end = end
        self.delay = delay
        self.name = name

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate of a step."""
        # As integers: the quotient of floats can be rounded up to an epoch.
        epoch = ops.floor_divide(ops.cast(step, "int32"), self.steps_per_epoch)
        epoch = ops.cast(ops.maximum(epoch - self.delay, 0), "float32")
        share = ops.minimum(epoch / self.epochs, 1.0)
        half = 0.5 * (self.learning_rate - self.end)
        rate = self.end + half * (1 + ops.cos(math.pi * share))
        if not self.warmup_epochs:
            return rate
        rise = self.learning_rate - self.warmup_learning_rate
        rise = epoch * (rise / self.warmup_epochs)
        rising = self.warmup_learning_rate + rise
        return ops.where(epoch < self.warmup_epochs, rising, rate)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            "learning_rate": self.learning_rate,
            "steps_per_epoch": self.steps_per_epoch,
            "epochs": self.epochs,
            "warmup_epochs": self.warmup_epochs,
            "warmup_learning_rate": self.warmup_learning_rate,
            "end": self.end,
            "delay": self.delay,
            "name": self.name,
        }
