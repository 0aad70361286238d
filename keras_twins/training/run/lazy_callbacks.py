"""Callbacks that do not wait for the device after every step."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twins.ops import generator_states
from keras_twins.ops import set_generator_states


class LazyCallbackList(keras.callbacks.CallbackList):
    """Callbacks that get the logs of a step as they are.

    Keras turns them into numbers after every step, which waits for the device
    to finish it.

    The first step draws the random numbers that it would draw without the
    beginning of `fit`, whose iterator draws some on PyTorch: how often a
    training was resumed must not matter.

    Args:
        **kwargs: Arguments of `keras.callbacks.CallbackList`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._generators: list[np.ndarray] | None = generator_states()

    def on_train_batch_begin(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Calls nobody."""
        if self._generators is not None:
            set_generator_states(self._generators)
            self._generators = None

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Hands the logs on."""
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)
