"""Boxes of KerasCV and KerasHub, there and back."""

import keras
import numpy as np
import pytest

from keras_twins.detection.batches import as_batch
from keras_twins.detection.batches import to_keras_boxes
from keras_twins.detection.box_formats import FORMATS
from tests.compiling import compiled
from tests.tiny import to_numpy

HEIGHT, WIDTH = 40, 80
IMAGES = np.zeros((2, HEIGHT, WIDTH, 3), "uint8")
LABELS = np.array([[2, 0], [1, -1]])
CORNERS = np.array(
    [[[8, 4, 40, 20], [0, 0, 80, 40]], [[16, 10, 24, 30], [-1, -1, -1, -1]]],
    "float32",
)
# What each format makes of the first box.
FIRST = {
    "xyxy": (8, 4, 40, 20),
    "yxyx": (4, 8, 20, 40),
    "xywh": (8, 4, 32, 16),
    "center_xywh": (24, 12, 32, 16),
    "rel_xyxy": (0.1, 0.1, 0.5, 0.5),
    "rel_yxyx": (0.1, 0.1, 0.5, 0.5),
    "rel_xywh": (0.1, 0.1, 0.4, 0.4),
    "rel_center_xywh": (0.3, 0.3, 0.4, 0.4),
}


def own(**changes):
    batch = {
        "images": IMAGES,
        "boxes": np.where(LABELS[..., None] < 0, 0, CORNERS),
        "labels": np.maximum(LABELS, 0),
        "valid": LABELS >= 0,
    }
    return {**batch, **changes}


def check_same(batch, expected):
    assert set(batch) == set(expected)
    for key, value in expected.items():
        found = to_numpy(batch[key])
        np.testing.assert_allclose(found, value, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", FORMATS)
def test_formats_there_and_back(name):
    images, boxes = to_keras_boxes(own(), name)
    np.testing.assert_array_equal(to_numpy(boxes["labels"]), LABELS)
    found = to_numpy(boxes["boxes"])
    np.testing.assert_allclose(found[0, 0], FIRST[name], rtol=1e-6)
    np.testing.assert_array_equal(found[1, 1], [-1] * 4)
    check_same(as_batch((images, boxes), name), own())


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_those_of_keras(name):
    _, boxes = to_keras_boxes(own(), name)
    theirs = keras.utils.bounding_boxes.convert_format(
        own()["boxes"][:1], "xyxy", name, height=HEIGHT, width=WIDTH
    )
    ours = to_numpy(boxes["boxes"])[:1]
    np.testing.assert_allclose(ours, to_numpy(theirs), rtol=1e-5)


@pytest.mark.parametrize("key", ["labels", "classes"])
@pytest.mark.parametrize("where", ["pair", "dictionary", "both", "triple"])
def test_places_of_boxes(where, key):
    # Data sets of KerasCV have classes of floats, and a confidence.
    boxes = {"boxes": CORNERS, key: LABELS.astype("float32"), "confidence": 0}
    data = {
        "pair": (IMAGES, boxes),
        "dictionary": {"images": IMAGES, "bounding_boxes": boxes},
        "both": ({"images": IMAGES}, boxes),
        "triple": [IMAGES, boxes, None],
    }[where]
    batch = as_batch(data)
    check_same(batch, own())
    dtypes = {k: keras.backend.standardize_dtype(batch[k].dtype) for k in batch}
    expected = ("uint8", "float32", "int32", "bool")
    assert tuple(dtypes.values()) == expected


def test_own_dictionary_stays_as_it_is():
    sizes = np.array([[40, 60], [20, 80]])
    # The format is that of others.
    batch = as_batch(own(image_sizes=sizes), "rel_xywh")
    check_same(batch, own(image_sizes=sizes))
    for data in (IMAGES, (IMAGES,), {"images": IMAGES}):
        assert as_batch(data) == {"images": IMAGES}


def test_negative_labels_are_padding_beside_valid():
    batch = own(labels=LABELS, boxes=CORNERS, valid=np.array([[0, 1], [1, 1]]))
    found = to_numpy(as_batch(batch)["valid"])
    np.testing.assert_array_equal(found, [[False, True], [True, False]])
    del batch["valid"]
    check_same(as_batch(batch), own())


@pytest.mark.parametrize("key", ["masks", "segmentation_masks"])
def test_masks(key):
    masks = np.ones((2, 2, HEIGHT, WIDTH), "uint8")
    boxes = {"boxes": CORNERS, "labels": LABELS, key: masks}
    batch = as_batch((IMAGES, boxes))
    check_same(batch, own(masks=masks))
    _, found = to_keras_boxes(batch, "xywh")
    np.testing.assert_array_equal(
        to_numpy(found["masks"]), to_numpy(batch["masks"])
    )


def test_names_of_labels():
    assert set(to_keras_boxes(own(), "xywh", "classes")[1]) == {
        "boxes",
        "classes",
    }
    with pytest.raises(ValueError, match="`labels_key` must be one of"):
        to_keras_boxes(own(), "xywh", "class")
    with pytest.raises(ValueError, match="`batch` has no key 'boxes'"):
        to_keras_boxes({"images": IMAGES}, "xywh")


def test_compiles():
    def function(images, boxes, labels):
        data = (images, {"boxes": boxes, "labels": labels})
        batch = as_batch(data, "rel_center_xywh")
        return to_keras_boxes(batch, "rel_yxyx")[1]["boxes"]

    for run in compiled(function):
        found = to_numpy(run(IMAGES, CORNERS / 100, LABELS))
        # (.08, .04) + - (.2, .1)
        expected = (-0.06, -0.12, 0.14, 0.28)
        np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="its sizes may be unknown"
)
def test_unknown_sizes():
    import tensorflow as tf

    @tf.function
    def function(images, boxes, labels):
        data = (images, {"boxes": boxes, "labels": labels})
        return as_batch(data, "rel_xyxy")["boxes"]

    spec = [
        tf.TensorSpec((None,) * 4),
        tf.TensorSpec((None, None, 4)),
        tf.TensorSpec((None, None)),
    ]
    run = function.get_concrete_function(*spec)
    values = (IMAGES, CORNERS / 80, LABELS)
    found = run(*(tf.cast(v, "float32") for v in values))
    np.testing.assert_allclose(found[0, 0], (8, 2, 40, 10), rtol=1e-6)
    # One box would be taken for all labels.
    values = (IMAGES, CORNERS[:, :1], LABELS)
    with pytest.raises(tf.errors.InvalidArgumentError, match="with 4 values"):
        run(*(tf.cast(v, "float32") for v in values))
    spec[1] = tf.TensorSpec(None)
    with pytest.raises(ValueError, match="'boxes' must .* unknown rank"):
        function.get_concrete_function(*spec)


BOXES = {"boxes": CORNERS, "labels": LABELS}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (7, "'images' must have the shape"),
        ((IMAGES[0], BOXES), r"'images' must .*\(40, 80, 3\)"),
        ({"image": IMAGES}, "no key 'images'.*'image'"),
        ((), "0 parts"),
        ((IMAGES, BOXES, LABELS), "no sample weights"),
        ((IMAGES, CORNERS), "must be a dictionary of 'boxes'"),
        ((IMAGES, {"labels": LABELS}), "no key 'boxes'.*'labels'"),
        ((IMAGES, {"boxes": CORNERS}), "no key 'labels' or 'classes'"),
        (own(labels=CORNERS), r"'labels' must .*\(2, 2, 4\)"),
        (own(boxes=CORNERS[..., :3]), r"'boxes' must .*, 4\).*\(2, 2, 3\)"),
        (own(boxes=CORNERS[:1]), r"'boxes' must .*\(1, 2, 4\)"),
        (
            own(boxes=CORNERS[:, :1]),
            r"'labels' and 'valid' .*boxes \(2, 1, 4\), labels \(2, 2\)",
        ),
        (own(valid=LABELS[:, :1]), r"same number of .* valid \(2, 1\)"),
        (
            own(masks=np.ones((2, 1, 40, 80))),
            r"'valid' and 'masks' .*\(2, 1, 40, 80\)",
        ),
        (own(labels=LABELS[:, 0]), r"'labels' .*`x\[:, None\]`.*\(2,\)"),
        (own(valid=np.ones(3)), r"'valid' must .*`x\[None\]`.*\(3,\)"),
        (own(labels=LABELS.astype(str)), "'labels' must be integers: classes"),
        (own(masks=IMAGES), r"'masks' must .*\(2, 40, 80, 3\)"),
        (own(masks=np.ones((2, 40, 80))), r"'masks' must .*\(2, 40, 80\)"),
        (own(classes=LABELS), "must have one of the keys"),
    ],
)
def test_what_is_no_batch(data, message):
    with pytest.raises(ValueError, match=message):
        as_batch(data)


def test_unknown_format():
    with pytest.raises(ValueError, match="`bounding_box_format` must be one"):
        as_batch((IMAGES, BOXES), "coco")
    with pytest.raises(ValueError, match="`bounding_box_format` must be one"):
        to_keras_boxes(own(), "rel_coco")


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="it has ragged tensors"
)
def test_ragged_boxes():
    import tensorflow as tf

    ragged = tf.ragged.constant(CORNERS.tolist(), ragged_rank=1)
    with pytest.raises(ValueError, match="'boxes' must be dense.*to_dense"):
        as_batch((IMAGES, {"boxes": ragged, "labels": LABELS}))
