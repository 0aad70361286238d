"""A small Twins-SVT, and the recipe that trains it on the digits."""

import dataclasses
import sys
import time

import keras
import numpy as np

from keras_twins.applications import classifier
from keras_twins.data import AugmentedBatches
from keras_twins.data import Split
from keras_twins.training.classification_recipes import CLASSIFICATION_RECIPES
from keras_twins.training.classification_recipes import DIGITS_CONFIG

_RECIPE = CLASSIFICATION_RECIPES["digits/svt_tiny"]

DEMO_CONFIG = DIGITS_CONFIG
IMAGE_SIZE = _RECIPE.image_size
CLASSES = 10
EPOCHS = _RECIPE.epochs

_WARM_UP = 0.1
"""Fraction of the steps in which the learning rate rises."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model, and what it says about the held-out digits.

    Args:
        model: The model.
        history: What `fit` measured after each epoch.
        seconds: Time of the training.
        test_images: Held-out pixels of shape `(n, 32, 32, 3)`.
        test_labels: Their digits, of shape `(n,)`.
        probabilities: The model's answer, of shape `(n, 10)`.
    """

    model: keras.Model
    history: dict[str, list[float]]
    seconds: float
    test_images: np.ndarray
    test_labels: np.ndarray
    probabilities: np.ndarray

    @property
    def accuracy(self) -> float:
        """Fraction of the held-out digits that are right."""
        right = self.probabilities.argmax(axis=-1) == self.test_labels
        return float(right.mean())

    def summary(self) -> str:
        """Returns the model and the training in a few words."""
        return (
            f"{self.model.count_params():,} parameters, "
            f"{len(self.history['loss'])} epochs"
        )


def train(training: Split, test: Split, epochs: int, seed: int) -> Trained:
    """Builds the model of the demo and trains it with `fit`.

    The test images are only looked at: nothing is chosen by them.

    Args:
        training: Pixels of shape `(n, 32, 32, 3)`, and their digits.
        test: The same, held out.
        epochs: Number of epochs.
        seed: Seed of everything random.

    Returns:
        A `Trained`.
    """
    keras.utils.set_random_seed(seed)
    images, labels = training
    batches = AugmentedBatches(
        images,
        _one_hot(labels),
        batch_size=_RECIPE.batch_size,
        drop_remainder=True,
        seed=seed,
    )
    model = _compiled_model(steps=epochs * len(batches))
    start = time.perf_counter()
    record = model.fit(
        batches,
        epochs=epochs,
        validation_data=(test[0], _one_hot(test[1])),
        # A bar in a terminal, one line an epoch in a log.
        verbose=1 if sys.stdout.isatty() else 2,  # pyright: ignore
    )
    return Trained(
        model=model,
        history=record.history,
        seconds=time.perf_counter() - start,
        test_images=test[0],
        test_labels=test[1],
        probabilities=model.predict(test[0], verbose=0),  # pyright: ignore
    )


def _compiled_model(steps: int) -> keras.Model:
    model = classifier(
        DEMO_CONFIG,
        input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3),
        classes=CLASSES,
        drop_path_rate=_RECIPE.drop_path_rate,
        name="twins_digits",
    )
    model.compile(
        optimizer=_optimizer(steps),
        loss=keras.losses.CategoricalCrossentropy(
            label_smoothing=_RECIPE.augmentation.label_smoothing
        ),
        metrics=["accuracy"],
    )
    return model


def _one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES, dtype="float32")[labels]


def _optimizer(steps: int) -> keras.optimizers.Optimizer:
    """Returns AdamW with a linear warm-up and a cosine decay."""
    warm_up = max(1, round(_WARM_UP * steps))
    peak = _RECIPE.peak_learning_rate()
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=_RECIPE.warmup_learning_rate,
        warmup_target=peak,
        warmup_steps=warm_up,
        decay_steps=max(1, steps - warm_up),
        alpha=_RECIPE.end_learning_rate / peak,
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=_RECIPE.weight_decay,
        global_clipnorm=_RECIPE.clip_norm,
    )
