"""What `fit` and its like make of arrays, before Keras sees them."""

import numpy as np
import pytest

from keras_twins.detection.batch_parts import checked_arrays

IMAGES = np.zeros((2, 40, 80, 3), "uint8")
BOXES = [[[8, 4, 40, 20]], [[16, 10, 24, 30]]]
LABELS = [[2], [1]]


def test_lists_become_arrays():
    truth = {"boxes": BOXES, "labels": LABELS}
    data, none = checked_arrays({"images": IMAGES, **truth})
    assert none is None and data["images"] is IMAGES
    pair = checked_arrays(IMAGES, truth)
    nested, _ = checked_arrays({"images": IMAGES, "bounding_boxes": truth})
    for found in (data, pair[1], nested["bounding_boxes"]):
        np.testing.assert_array_equal(found["boxes"], BOXES)
        assert found["labels"].shape == (2, 1)
    ragged = {**truth, "labels": [[2, 0], [1]]}
    with pytest.raises(ValueError, match="'labels' must be an array.*of 2"):
        checked_arrays(IMAGES, ragged)


def test_arrays_must_fit_each_other():
    truth = {"boxes": np.zeros((2, 1, 4)), "labels": np.zeros((2, 6), int)}
    for data in (
        (IMAGES, truth),
        ({"images": IMAGES, **truth},),
        ({"images": IMAGES, "bounding_boxes": truth},),
    ):
        with pytest.raises(ValueError, match=r"labels \(2, 6\)"):
            checked_arrays(*data)
    with pytest.raises(ValueError, match=r"'images' must .*\(40, 80, 3\)"):
        checked_arrays(IMAGES[0])


def test_data_sets_stay_as_they_are():
    batches = iter([{"images": IMAGES}])
    for data in (None, batches, [IMAGES]):
        assert checked_arrays(data) == (data, None)
