import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins.data.coco_masks import decode_segmentation
from keras_twins.data.coco_masks import encode_mask
from tests.data import coco_files

coder = pytest.importorskip("pycocotools.mask")


def decoded(segmentation):
    size = coco_files.HEIGHT, coco_files.WIDTH
    return decode_segmentation(segmentation, size, "file, annotation 7")


@pytest.mark.parametrize("form", [coco_files.compressed, coco_files.runs])
def test_run_lengths(form):
    mask = decoded(form(coco_files.RUNS_MASK))
    np.testing.assert_array_equal(mask, coco_files.RUNS_MASK)
    assert mask.dtype == bool


def test_polygons_are_joined():
    mask = decoded([*coco_files.POLYGON, [20, 5, 34, 5, 34, 21, 20, 21]])
    np.testing.assert_array_equal(
        mask, coco_files.POLYGON_MASK | coco_files.RUNS_MASK
    )


def test_polygons_may_leave_the_picture():
    mask = decoded([[-10, -10, 12, -10, 12, 9, -10, 9]])
    np.testing.assert_array_equal(mask, coco_files.rectangle(0, 0, 12, 9))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_masks_survive_their_encoding(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    runs = encode_mask(mask)
    assert runs == coco_files.runs(mask)
    found = decode_segmentation(runs, (height, width), "")
    np.testing.assert_array_equal(found, mask)
    theirs = coder.decode(coder.frPyObjects(runs, height, width))
    np.testing.assert_array_equal(theirs, mask)


WHOLE = coco_files.HEIGHT * coco_files.WIDTH


@pytest.mark.parametrize(
    "segmentation",
    [
        [],
        [[]],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
        [[1, 2, 3, 4, 5, "6"]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [1, 2, 3, 4, 5, 6],
        "text",
        {},
        {"size": [21, 34]},
        {"size": [34, 21], "counts": [WHOLE]},
        {"size": [21, 34], "counts": [WHOLE - 1]},
        {"size": [21, 34], "counts": [WHOLE + 1, -1]},
        {"size": [21, 34], "counts": [0.5, WHOLE]},
        {"size": [21, 34], "counts": "~~ no run lengths ~~"},
    ],
)
def test_what_is_broken_is_named(segmentation):
    text = "^file, annotation 7: expected .*`segmentation`.*Received"
    with pytest.raises(ValueError, match=text):
        decoded(segmentation)
