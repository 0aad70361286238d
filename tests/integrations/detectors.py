"""What the tests of every detector have in common."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_twins.detection.batches import to_keras_boxes
from tests import tiny
from tests.compiling import call_compiled
from tests.integrations import heads

FORMAT = "xywh"
BATCH = {
    "images": heads.images(),
    "boxes": np.array(
        [[[8, 8, 40, 40], [0, 0, 60, 60]], [[16, 10, 50, 60], [0, 0, 0, 0]]],
        "float32",
    ),
    "labels": np.array([[0, 1], [2, 0]]),
    "valid": np.array([[True, True], [True, False]]),
}


def targets(labels_key: str) -> dict[str, np.ndarray]:
    """Returns the boxes of two images as a library wants them."""
    _, boxes = to_keras_boxes(BATCH, FORMAT, labels_key)
    return {key: tiny.to_numpy(value) for key, value in boxes.items()}


def outputs(model: keras.Model) -> dict[str, np.ndarray]:
    found = call_compiled(lambda x: model(x, training=False), heads.images())
    return {key: tiny.to_numpy(value) for key, value in found.items()}


def check_outputs(model: keras.Model, shapes: Mapping[str, tuple]) -> None:
    found = outputs(model)
    assert {key: value.shape for key, value in found.items()} == shapes
    assert all(np.isfinite(value).all() for value in found.values())


def check_training_step(model: keras.Model, labels_key: str) -> None:
    """Takes a step with `fit`; it must reach the first weights."""
    stem = next(v for v in model.weights if "stage0_patch" in v.path)
    before = tiny.to_numpy(stem).copy()
    history = model.fit(
        heads.images(), targets(labels_key), batch_size=2, verbose=0
    ).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["loss"][0] > 0
    assert np.any(tiny.to_numpy(stem) != before)


def check_predictions(model: keras.Model, labels_key: str) -> None:
    """Decodes boxes; what is none of them is -1."""
    found = model.predict(heads.images(), verbose=0)
    count = found["num_detections"]
    slots = found["confidence"].shape[1]
    assert found["boxes"].shape == (2, slots, 4)
    assert (count > 0).all()
    there = np.arange(slots) < count[:, None]
    labels = found[labels_key]
    assert np.isin(labels[there], range(heads.CLASSES)).all()
    assert (labels[~there] == -1).all()
    assert np.isfinite(found["boxes"][there]).all()
    assert (found["confidence"][there] > 0).all()


def check_saving(model: keras.Model, folder) -> keras.Model:
    """Writes the model and reads it; both must give the same."""
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.bounding_box_format == FORMAT
    expected = outputs(model)
    for key, value in outputs(loaded).items():
        np.testing.assert_allclose(value, expected[key], atol=1e-6)
    return loaded


def check_frozen(model: keras.Model, encoder: keras.Model) -> None:
    """Freezes the encoder; what is left to train is all the rest."""
    both = len(model.trainable_variables)
    inner = len(encoder.trainable_variables)
    encoder.trainable = False
    ids = {id(variable) for variable in encoder.variables}
    left = [id(variable) for variable in model.trainable_variables]
    assert not ids.intersection(left)
    assert 0 < len(left) == both - inner
