"""A classifier of handwritten digits in seconds, instead of a training."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.data import load_digits
from keras_twins.demo.training import DEMO_CONFIG
from tests import tiny

SIDE = 32
CONFIG = dataclasses.replace(
    DEMO_CONFIG,
    embed_dims=(32, 64, 128, 256),
    num_heads=(1, 2, 4, 8),
    depths=(1, 1, 1, 1),
    attention_pattern=("L", "G", "L", "G"),
)

_RIDGE = 100.0


def digits_model() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Returns a model that reads digits, and held-out images and labels.

    The body has random values; the head is the best linear one on them, with
    logits that are far from each other. It reads over 90 % of the digits.
    """
    pytest.importorskip("sklearn")
    model = keras_twins.classifier(
        CONFIG,
        input_shape=(SIDE, SIDE, 3),
        classes=10,
        classifier_activation=None,
    )
    tiny.randomise(model)
    _, (images, labels) = load_digits(SIDE)
    model.layers[-1].set_weights(_fitted_head())
    return model, images.astype("float32"), labels


@functools.cache
def _fitted_head() -> list[np.ndarray]:
    model = keras_twins.classifier(
        CONFIG, input_shape=(SIDE, SIDE, 3), include_top=False, pooling="avg"
    )
    # The weights of the head come last: the others are those of the model.
    tiny.randomise(model)
    (images, labels), _ = load_digits(SIDE)
    features = model.predict(images, batch_size=128, verbose=0)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    x = np.c_[(features - mean) / deviation, np.ones(len(features))]
    squares = x.T @ x + _RIDGE * np.eye(x.shape[1])
    solution = np.linalg.solve(squares, x.T @ np.eye(10)[labels])
    kernel = solution[:-1] / deviation[:, None]
    return [kernel, solution[-1] - mean @ kernel]
