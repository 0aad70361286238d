import numpy as np
import pytest

from keras_twins.detection.mask_pasting import paste_masks
from tests.detection.regions import GOLDEN


@pytest.mark.parametrize(
    "name, size, factor",
    [("full", (256, 320), 1.0), ("rescale", (200, 240), 1.25)],
)
def test_masks_as_mmdetection_has_them(name, size, factor):
    golden = np.load(GOLDEN)
    logits = golden[f"mask_paste_{name}/selected_logits"]
    boxes = golden[f"mask_paste_{name}/boxes"] / np.float32(factor)
    masks = paste_masks(1 / (1 + np.exp(-logits)), boxes, size)
    bits = np.unpackbits(golden[f"mask_paste_{name}/masks_packed"])
    expected = bits[: masks.size].reshape(masks.shape).astype(bool)
    np.testing.assert_array_equal(masks, expected)


def test_a_box_fills_the_pixels_whose_centres_it_has():
    full = np.ones((1, 28, 28))
    mask = paste_masks(full, [[2.6, 1.4, 9.4, 5.6]], (8, 12))[0]
    expected = np.zeros((8, 12), dtype=bool)
    expected[1:6, 3:9] = True
    np.testing.assert_array_equal(mask, expected)


def test_low_thresholds_see_what_is_left_outside_the_box():
    full = np.ones((1, 2, 2))
    boxes = [[10.0, 10.0, 30.0, 30.0]]
    mask = paste_masks(full, boxes, (40, 40), threshold=0.3)[0]
    # One cell is 10 pixels: it ends at 15 - 10, a share of 0.3 at 8.
    np.testing.assert_array_equal(np.flatnonzero(mask[20]), np.arange(8, 32))


@pytest.mark.parametrize(
    "box",
    [
        (5, 5, 5, 9),
        (9, 9, 5, 5),
        (0, 0, 0, 0),
        (-20, -20, -5, -5),
        (30, 30, 40, 40),
    ],
)
def test_boxes_without_pixels(box):
    assert not paste_masks(np.ones((1, 28, 28)), [box], (16, 16)).any()


def test_boxes_beyond_the_image_are_cut():
    mask = paste_masks(np.ones((1, 28, 28)), [[-8, -8, 100, 4]], (16, 16))[0]
    np.testing.assert_array_equal(mask, np.arange(16)[:, None] < 4 + 0 * mask)


def test_no_masks():
    masks = paste_masks(np.zeros((0, 28, 28)), np.zeros((0, 4)), (6, 5))
    assert masks.shape == (0, 6, 5)


def test_errors():
    with pytest.raises(ValueError, match=r"`boxes` \(masks, 4\)"):
        paste_masks(np.zeros((2, 28, 28)), np.zeros((1, 4)), (6, 5))
    with pytest.raises(ValueError, match="`threshold` must be positive"):
        paste_masks(np.zeros((1, 4, 4)), np.zeros((1, 4)), (6, 5), 0.0)
