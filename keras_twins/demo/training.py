"""A small Twins-SVT, and the recipe that trains it on the digits."""

import sys

import keras
import numpy as np

from keras_twins.applications import classifier
from keras_twins.config import TwinsConfig
from keras_twins.data import AugmentedBatches

IMAGE_SIZE = 32
CLASSES = 10
EPOCHS = 20

DEMO_CONFIG = TwinsConfig(
    embed_dims=(32, 64, 96, 128),
    depths=(2, 2, 2, 2),
    num_heads=(1, 2, 3, 4),
    mlp_ratios=(2, 2, 2, 2),
    attention_pattern=("LG", "LG", "LG", "LG"),
    # Patches of 2 leave maps of 16, 8, 4 and 2 positions for 32 pixels.
    patch_sizes=(2, 2, 2, 2),
    sr_ratios=(4, 2, 1, 1),
    window_sizes=(4, 4, 4, 2),
)
"""A Twins-SVT for images of 32 pixels: 0.6 million parameters."""

_PEAK_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 0.05
_CLIP_NORM = 5.0
_DROP_PATH = 0.05
_LABEL_SMOOTHING = 0.05
_WARM_UP = 0.1
"""Fraction of the steps in which the learning rate rises."""


def train(
    images: np.ndarray,
    labels: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray],
    epochs: int,
    seed: int,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Builds the model of the demo and trains it with `fit`.

    The validation images are only looked at: nothing is chosen by them.

    Args:
        images: Pixels of shape `(n, 32, 32, 3)`.
        labels: Digits of shape `(n,)`.
        validation: Images and labels to evaluate after each epoch.
        epochs: Number of epochs.
        seed: Seed of everything random.

    Returns:
        The trained model, and what `fit` measured after each epoch.
    """
    keras.utils.set_random_seed(seed)
    batches = AugmentedBatches(images, one_hot(labels), seed=seed)
    model = classifier(
        DEMO_CONFIG,
        input_shape=images.shape[1:],
        classes=CLASSES,
        drop_path_rate=_DROP_PATH,
        name="twins_digits",
    )
    model.compile(
        optimizer=_optimizer(len(batches) * epochs),
        loss=keras.losses.CategoricalCrossentropy(
            label_smoothing=_LABEL_SMOOTHING
        ),
        metrics=["accuracy"],
    )
    history = model.fit(
        batches,
        epochs=epochs,
        validation_data=(validation[0], one_hot(validation[1])),
        # A bar in a terminal, one line an epoch in a log.
        verbose=1 if sys.stdout.isatty() else 2,  # pyright: ignore
    )
    return model, history.history


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Returns labels as rows of zeros with a one.

    Args:
        labels: Digits of shape `(n,)`.

    Returns:
        Array of shape `(n, 10)`, `float32`.
    """
    return np.eye(CLASSES, dtype="float32")[labels]


def _optimizer(steps: int) -> keras.optimizers.Optimizer:
    """Returns AdamW with a linear warm-up and a cosine decay."""
    warm_up = max(1, round(_WARM_UP * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.01 * _PEAK_LEARNING_RATE,
        warmup_target=_PEAK_LEARNING_RATE,
        warmup_steps=warm_up,
        decay_steps=max(1, steps - warm_up),
        alpha=0.01,
    )
    return keras.optimizers.AdamW(
        schedule, weight_decay=_WEIGHT_DECAY, global_clipnorm=_CLIP_NORM
    )
