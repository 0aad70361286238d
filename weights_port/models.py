"""The Keras models that ported weights are put into."""

from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np

import keras_twins
from keras_twins import TwinsBackbone
from keras_twins import TwinsConfig
from keras_twins.weights.mapping import load_state
from weights_port.official import OfficialState

HEAD = "head."
"""How the names of the classifier's tensors start."""


class Parts(NamedTuple):
    """What a file may have or lack, whatever its architecture.

    `classes` is `None` without a classifier.
    """

    channels: int = 3
    classes: int | None = None
    final_norm: bool = True

    @classmethod
    def of(cls, official: OfficialState) -> "Parts":
        """Returns the parts of a state."""
        return cls(official.channels, official.classes, official.final_norm)


def build_model(config: TwinsConfig, parts: Parts) -> keras.Model:
    """Returns a model with random weights.

    Args:
        config: The architecture.
        parts: Channels, classes, and whether there is a final norm.

    Returns:
        A classifier that takes normalised images and gives logits, or a
        backbone.
    """
    shape = (None, None, parts.channels)
    if parts.classes is None:
        return TwinsBackbone(
            config, shape, final_norm=parts.final_norm, dtype="float32"
        )
    return keras_twins.classifier(
        config,
        weights=None,
        input_shape=shape,
        classes=parts.classes,
        classifier_activation=None,
        include_preprocessing=False,
        dtype="float32",
    )


def without_head(
    state: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Returns a state without its classifier.

    Args:
        state: Arrays by official name.

    Returns:
        The others.
    """
    return {n: v for n, v in state.items() if not n.startswith(HEAD)}


def fill_model(
    model: keras.Model,
    config: TwinsConfig,
    state: Mapping[str, np.ndarray],
) -> None:
    """Gives a model the weights of a state, all of them.

    Args:
        model: What `build_model` returned.
        config: Its architecture.
        state: Arrays by official name.
    """
    load_state(model, config, state, include_top="head.weight" in state)
