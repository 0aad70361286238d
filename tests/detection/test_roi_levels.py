import numpy as np
import pytest

from keras_twins.detection.roi_levels import largest_window
from keras_twins.detection.roi_levels import locate
from keras_twins.detection.roi_levels import region_levels
from keras_twins.detection.roi_levels import window_sizes
from tests.detection.regions import GOLDEN
from tests.tiny import to_numpy

STRIDES = (4, 8, 16, 32)


def test_levels_as_mmdetection_has_them():
    golden = np.load(GOLDEN)
    boxes = golden["roi_extract_7/rois"][None, :, 1:]
    levels = to_numpy(region_levels(boxes, 4))[0]
    np.testing.assert_array_equal(levels, golden["roi_extract_7/levels"])


def test_the_limits_belong_to_the_level_above():
    sides = np.array([0.0, 111.0, 112.0, 223.0, 224.0, 448.0, 4000.0])
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], axis=-1)[None]
    levels = to_numpy(region_levels(boxes.astype("float32"), 4))
    np.testing.assert_array_equal(levels, [[0, 0, 1, 1, 2, 3, 3]])


@pytest.mark.parametrize("size", [(512, 512), (800, 1344), (64, 96)])
def test_no_region_needs_more_room_than_there_is(size):
    height, width = size
    generator = np.random.default_rng(0)
    # As large as a level takes, of every ratio.
    sides = 112.0 * 2.0 ** generator.integers(0, 4, 2000) - 0.001
    ratios = np.exp(generator.uniform(-4, 4, 2000))
    wide = np.minimum(sides * ratios, width)
    high = np.minimum(sides / ratios, height)
    x, y = (
        generator.uniform(0, width - wide),
        generator.uniform(0, height - high),
    )
    boxes = np.stack([x, y, x + wide, y + high], -1)[None].astype("float32")
    sizes = [(height // s, width // s) for s in STRIDES]
    levels = region_levels(boxes, 4)
    regions = locate(boxes, levels, sizes, [1 / s for s in STRIDES], 7)
    needed = to_numpy(window_sizes(regions))
    most = largest_window(sizes, STRIDES)
    assert 0.5 * most <= needed.max() <= most


def test_without_sizes_there_is_no_limit():
    assert largest_window([(None, 4)]) is None
