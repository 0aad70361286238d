import numpy as np
import pytest

from keras_twins.detection.mask_targets import crop_masks
from tests.compiling import call_compiled
from tests.compiling import compiled
from tests.detection.regions import GOLDEN
from tests.detection.regions import pooled
from tests.tiny import to_numpy

ELLIPSES = ((100, 90, 60, 40), (220, 160, 80, 70), (50, 200, 30, 45))


def crop(masks, boxes, owners, size=28):
    owners = np.asarray(owners, dtype="int32")
    inputs = masks, np.asarray(boxes, dtype="float32"), owners
    return to_numpy(call_compiled(lambda x: crop_masks(*x, size), inputs))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32"])
def test_targets_as_mmdetection_has_them(dtype):
    golden = np.load(GOLDEN)
    y, x = np.mgrid[:256, :320] + 0.5
    masks = [
        ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 <= 1
        for cx, cy, a, b in ELLIPSES
    ]
    boxes, owners = golden["mask_target/boxes"], golden["mask_target/gt_idx"]
    targets = crop(np.array([masks]).astype(dtype), boxes[None], owners[None])
    assert targets.dtype == "float32"
    np.testing.assert_array_equal(targets[0], golden["mask_target/target"])


def test_every_image_has_masks_of_its_own():
    generator = np.random.default_rng(0)
    masks = generator.random((2, 3, 20, 24)) < 0.4
    low = generator.uniform(0, 12, (2, 5, 2))
    boxes = np.concatenate([low, low + generator.uniform(1, 8, (2, 5, 2))], -1)
    boxes = boxes.astype("float32")
    owners = generator.integers(0, 3, (2, 5))
    targets = crop(masks, boxes, owners, 4)
    for i, j in np.ndindex(2, 5):
        cells = masks[i, owners[i, j], :, :, None].astype(float)
        means = pooled(cells, boxes[i, j], 4)[..., 0]
        clear = np.abs(means - 0.5) > 1e-5
        assert clear.sum() > 8
        np.testing.assert_array_equal(
            targets[i, j][clear], (means > 0.5)[clear]
        )


def test_padding_is_finite():
    targets = crop(np.ones((1, 2, 8, 8)), np.zeros((1, 3, 4)), [[-1, 0, 5]], 4)
    np.testing.assert_array_equal(targets, np.zeros((1, 3, 4, 4)))


def test_compiled():
    masks = np.zeros((1, 1, 16, 16), dtype="uint8")
    masks[..., 8:] = 1
    boxes = np.array([[[4.0, 0.0, 12.0, 16.0]]], dtype="float32")
    owners = np.zeros((1, 1), dtype="int32")
    expected = np.zeros((1, 1, 4, 4))
    expected[..., 2:] = 1
    functions = list(compiled(lambda *inputs: crop_masks(*inputs, 4)))
    for function in [lambda *x: crop(*x, 4), *functions]:
        y = to_numpy(function(masks, boxes, owners))
        np.testing.assert_array_equal(y, expected)


def test_errors():
    with pytest.raises(ValueError, match="`size` must be positive"):
        crop(np.ones((1, 1, 8, 8)), np.zeros((1, 1, 4)), [[0]], 0)
