"""What the tests of every head have in common."""

import dataclasses

import keras
import numpy as np

import keras_twins
from tests import tiny

SIDE = 64
CLASSES = 3

# JAX compiles for each kind of block and each size of map.
CONFIG = dataclasses.replace(
    tiny.SVT,
    depths=(1, 1, 1, 1),
    attention_pattern=("L", "G", "G", "G"),
    position_encoding="none",
)


def backbone(**kwargs) -> keras_twins.TwinsBackbone:
    """Returns a small backbone as dense heads want it."""
    kwargs = {"image_shape": (SIDE, SIDE, 3), "final_norm": False, **kwargs}
    return keras_twins.TwinsBackbone(CONFIG, **kwargs)


def images() -> np.ndarray:
    return tiny.images(2, SIDE, SIDE, 3)


def label_maps() -> np.ndarray:
    """Returns integers of shape `(2, SIDE, SIDE)`, some of them ignored."""
    generator = np.random.default_rng(0)
    maps = generator.integers(CLASSES, size=(2, SIDE, SIDE))
    maps[:, :5] = 255
    return maps


def one_hot() -> np.ndarray:
    return np.eye(CLASSES, dtype="float32")[label_maps() % CLASSES]


def outputs(model: keras.Model) -> np.ndarray:
    # Not `predict`, which would compile the whole model once more.
    return tiny.to_numpy(model(images(), training=False))


def check_training_step(model: keras.Model, y: np.ndarray, **loss) -> None:
    """Takes a step with `fit`; it must reach the first weights."""
    model.compile(optimizer=keras.optimizers.SGD(0.1), metrics=[], **loss)
    stem = next(v for v in model.weights if "stage0_patch" in v.path)
    before = tiny.to_numpy(stem).copy()
    history = model.fit(images(), y, batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.any(tiny.to_numpy(stem) != before)


def check_saving(model: keras.Model, folder) -> keras.Model:
    """Writes the model and reads it; both must give the same."""
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")
    assert type(loaded) is type(model)
    np.testing.assert_allclose(outputs(loaded), outputs(model), atol=1e-6)
    return loaded
