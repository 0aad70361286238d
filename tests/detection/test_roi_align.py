import keras
import numpy as np
import pytest
from keras import ops

from keras_twins.detection.roi_align import pool_regions
from keras_twins.detection.roi_align import roi_align
from tests.compiling import call_compiled
from tests.compiling import compiled
from tests.detection.regions import GOLDEN
from tests.detection.regions import golden_maps
from tests.detection.regions import pooled
from tests.gradients import gradients_of
from tests.tiny import images
from tests.tiny import to_numpy

LIMIT = 1e-4
HEIGHT, WIDTH = 64, 512
STRIDES = (4, 8, 16, 32)
BOXES = {
    "square": (10.3, 5.1, 60.2, 50.7),
    "tiny": (100.2, 30.4, 101.1, 31.0),
    "point": (40.0, 20.0, 40.0, 20.0),
    "line": (3.0, 20.0, 500.0, 20.0),
    "padding": (0.0, 0.0, 0.0, 0.0),
    "whole image": (0.0, 0.0, 512.0, 64.0),
    "wide, finest level": (0.4, 30.2, 511.7, 33.9),
    "high and narrow": (200.1, 0.0, 201.9, 64.0),
    "last cells": (503.0, 57.0, 512.0, 64.0),
    "partly outside": (-30.0, -20.0, 20.0, 30.0),
    "outside": (600.0, 100.0, 700.0, 160.0),
    "upside down": (60.0, 50.0, 10.0, 5.0),
}


def level_maps(batch=1, width=64):
    """Returns maps of a long image, or of a small one: quick to compile."""
    return [images(batch, HEIGHT // s, width // s, 3, seed=s) for s in STRIDES]


def all_boxes(batch=1):
    boxes = np.array(list(BOXES.values()), dtype="float32")
    return np.stack([np.roll(boxes, k, axis=0) for k in range(batch)])


def golden_regions(function, *maps):
    """Returns what a function of maps and boxes says of the recorded ones."""
    rois = np.load(GOLDEN)["roi_extract_7/rois"]
    boxes = np.stack([rois[:, 1:]] * 2)
    result = call_compiled(
        lambda inputs: function(inputs[0], inputs[1]), (list(maps), boxes)
    )
    both = to_numpy(result)
    chosen = both[rois[:, 0].astype(int), np.arange(len(rois))]
    return chosen.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("size", [7, 14])
def test_regions_of_a_pyramid_as_mmdetection_has_them(size):
    y = golden_regions(
        lambda maps, boxes: pool_regions(maps, boxes, size), *golden_maps()
    )
    expected = np.load(GOLDEN)[f"roi_extract_{size}/out"]
    np.testing.assert_allclose(y, expected, atol=LIMIT)


@pytest.mark.parametrize("ratio, aligned", [(2, True), (0, False)])
def test_regions_of_one_map_as_mmcv_has_them(ratio, aligned):
    y = golden_regions(
        lambda maps, boxes: roi_align(maps[0], boxes, 7, 1 / 8, ratio, aligned),
        golden_maps()[1],
    )
    expected = np.load(GOLDEN)[f"roialign_sr{ratio}_al{int(aligned)}/out"]
    np.testing.assert_allclose(y, expected, atol=LIMIT)


def test_boxes_of_every_shape():
    maps, boxes = level_maps(2, WIDTH), all_boxes(2)
    y = to_numpy(
        call_compiled(lambda x: pool_regions(x[0], x[1], 7), (maps, boxes))
    )
    for image, row in enumerate(boxes):
        for box, values in zip(row, y[image], strict=True):
            side = np.sqrt(max(box[2] - box[0], 0) * max(box[3] - box[1], 0))
            level = int(np.clip(np.floor(np.log2(side / 56 + 1e-6)), 0, 3))
            cells = maps[level][image]
            expected = pooled(cells, box, 7, 1 / STRIDES[level])
            np.testing.assert_allclose(
                values, expected, atol=LIMIT, err_msg=str(box)
            )


def test_a_map_of_one_cell():
    y = roi_align(np.full((1, 1, 1, 2), 3.0, "float32"), all_boxes(), 2, 1 / 64)
    expected = [
        pooled(np.full((1, 1, 2), 3.0), box, 2, 1 / 64)
        for box in all_boxes()[0]
    ]
    np.testing.assert_allclose(to_numpy(y)[0], expected, atol=1e-6)


def test_gradients_of_the_maps():
    maps, others = level_maps(), [3 * x[:, ::-1] for x in level_maps()]
    boxes = all_boxes()

    def pool(*tensors):
        return pool_regions(tensors, boxes, 3)

    # Pooling is linear: the product with any maps says what the gradient is.
    gradients = gradients_of(pool, maps)
    inner = sum(np.sum(g * x) for g, x in zip(gradients, others, strict=True))
    sine = np.sin(to_numpy(call_compiled(lambda x: pool(*x), maps)))
    image = to_numpy(call_compiled(lambda x: pool(*x), others))
    np.testing.assert_allclose(inner, -np.sum(sine * image), rtol=1e-4)


def test_there_is_no_gradient_of_the_boxes():
    boxes = all_boxes()
    maps = level_maps()

    def pool(boxes, x):
        return pool_regions([x, *maps[1:]], boxes, 2) + 0.0 * ops.sum(boxes)

    by_boxes, by_map = gradients_of(pool, [boxes, maps[0]])
    assert not by_boxes.any()
    assert by_map.any()


def test_compiled():
    boxes = all_boxes(2)
    maps = level_maps(2)
    expected = [
        pooled(maps[0][0], BOXES["square"], 2, 1 / 4),
        pooled(maps[0][1], BOXES["upside down"], 2, 1 / 4),
    ]
    for function in compiled(lambda boxes, *x: pool_regions(x, boxes, 2)):
        y = to_numpy(function(boxes, *maps))[:, 0]
        np.testing.assert_allclose(y, expected, atol=LIMIT)


def test_gradients_compiled():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients of the other backends are compiled above")
    import tensorflow as tf

    maps, boxes = level_maps(), all_boxes()

    def gradients(*maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            total = ops.sum(ops.cos(pool_regions(maps, boxes, 2)))
        return tape.gradient(total, maps)

    maps = [tf.constant(x) for x in maps]
    expected = gradients(*maps)
    for function in compiled(gradients):
        for g, e in zip(function(*maps), expected, strict=True):
            np.testing.assert_allclose(g, e, atol=1e-5)


def test_maps_of_unknown_size():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("shapes are known")
    import tensorflow as tf

    cells = tf.TensorSpec((None, None, None, 3))
    signature = [tf.TensorSpec((None, None, 4)), *[cells] * 4]

    @tf.function(input_signature=signature)
    def pool(boxes, *maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            y = pool_regions(maps, boxes, 7)
            total = ops.sum(y)
        return y, tape.gradient(total, maps[0])

    maps, boxes = level_maps(2), all_boxes(2)
    y, gradient = pool(boxes, *maps)
    np.testing.assert_allclose(y, pool_regions(maps, boxes, 7), atol=1e-5)
    assert gradient.shape == maps[0].shape


def test_half_precision():
    maps, boxes = level_maps(), all_boxes()
    half = [ops.cast(x, "float16") for x in maps]
    y = call_compiled(lambda x: pool_regions(x, boxes, 2), half)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    expected = call_compiled(lambda x: pool_regions(x, boxes, 2), maps)
    np.testing.assert_allclose(to_numpy(y), to_numpy(expected), atol=5e-3)


def test_errors():
    with pytest.raises(ValueError, match="one number for each map"):
        pool_regions(level_maps(), all_boxes(), 7, strides=(4, 8))
    with pytest.raises(ValueError, match="`output_size` must be positive"):
        pool_regions(level_maps(), all_boxes(), 0)
    with pytest.raises(ValueError, match="`output_size` must be positive"):
        roi_align(level_maps()[0], all_boxes(), 0, 1 / 4)
