import keras
import numpy as np
import pytest

from keras_twins.segmentation.labels import check_labels
from keras_twins.segmentation.labels import label_maps
from keras_twins.segmentation.labels import pixel_weights
from tests.tiny import to_numpy

CLASSES = 5
LABELS = np.array([[[0, 3, 255], [4, 1, 2]]])


def maps(labels):
    tensor = keras.ops.convert_to_tensor(labels)
    return label_maps(tensor, np.zeros((1, 2, 3, CLASSES)))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
@pytest.mark.parametrize("channel", [True, False])
def test_label_maps_are_integers(dtype, channel):
    labels = LABELS[..., None] if channel else LABELS
    found = maps(labels.astype(dtype))
    assert keras.backend.standardize_dtype(found.dtype) == "int32"
    np.testing.assert_array_equal(to_numpy(found), LABELS)


def test_fractions_are_no_labels():
    """A mask that was scaled to 1 is not one of class 0."""
    found = to_numpy(maps(LABELS.astype("float32") / 255))
    fractions = (LABELS > 0) & (LABELS < 255)
    assert (found[fractions] < -1000).all()
    np.testing.assert_array_equal(found[~fractions], [0, 1])


@pytest.mark.parametrize(
    ("shape", "spread"),
    [
        ((), (1, 1, 1)),
        ((2,), (2, 1, 1)),
        ((2, 1), (2, 1, 1)),
        ((2, 4, 3), (2, 4, 3)),
        ((2, 4, 3, 1), (2, 4, 3)),
    ],
)
def test_weights_broadcast_to_label_maps(shape, spread):
    weights = np.random.default_rng(0).random(shape).astype("float32")
    np.testing.assert_array_equal(
        to_numpy(pixel_weights(weights)), weights.reshape(spread)
    )


def test_check_labels():
    labels = LABELS.copy()
    check_labels(labels, CLASSES)
    check_labels(keras.ops.convert_to_tensor(labels.astype("uint8")), CLASSES)
    with pytest.raises(ValueError, match=r"such as \[255\]"):
        check_labels(labels, CLASSES, ignore_class=None)
    labels[0, 0, :2] = -3, 9
    with pytest.raises(ValueError, match=r"2 other values.*\[-3, 9\]"):
        check_labels(labels, CLASSES)
    with pytest.raises(ValueError, match="dtype float32"):
        check_labels(labels.astype("float32"), CLASSES)
