import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins.data import COCO_1X
from keras_twins.data import COCO_3X
from keras_twins.data import DetectionAugmentation
from keras_twins.data import DetectionExample
from keras_twins.data.detection_augmentation import augment
from keras_twins.data.detection_augmentation import fit
from keras_twins.data.detection_example import learnable
from keras_twins.data.detection_example import resize_masks

SMALL = DetectionAugmentation(
    short_sides=(24, 32, 48),
    max_long_side=70,
    crop_rate=0.5,
    crop_short_sides=(30, 40),
    crop_range=(20, 36),
)

# Each resizing moves edges by up to a pixel of the size it leads to. The second
# one enlarges those of a crop, whose long side is in the range of crops.
MOST_OFF = 1 + SMALL.max_long_side / min(SMALL.crop_range)


def rectangles(height, width, count, seed=0):
    """A picture with objects that are rectangles, which masks show too."""
    rng = np.random.default_rng(seed)
    left, right = np.sort(rng.integers(0, width, (2, count)), axis=0)
    top, bottom = np.sort(rng.integers(0, height, (2, count)), axis=0)
    boxes = np.stack([left, top, right + 1, bottom + 1], -1).astype("float32")
    rows, columns = np.mgrid[:height, :width]
    x1, y1, x2, y2 = boxes.T[..., None, None]
    return DetectionExample(
        image=rng.integers(0, 256, (height, width, 3), "uint8"),
        boxes=boxes,
        labels=np.arange(count, dtype="int32"),
        masks=(columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2),
        image_id=7,
        name="picture",
    )


def around(mask):
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def assert_equal(found, wanted):
    for field in dataclasses.fields(DetectionExample):
        values = getattr(found, field.name), getattr(wanted, field.name)
        np.testing.assert_array_equal(*values)


def test_rows_are_those_of_the_paper():
    rows = DetectionAugmentation((800,), 1333, 0.5, 0.0)
    assert rows == COCO_1X
    sides = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    crops = (400, 500, 600), (384, 600)
    rows = DetectionAugmentation(sides, 1333, 0.5, 0.5, *crops)
    assert rows == COCO_3X


@settings(max_examples=60, deadline=None)
@given(
    st.integers(8, 60),
    st.integers(8, 60),
    st.integers(0, 6),
    st.integers(0, 10_000),
)
def test_boxes_are_those_of_the_masks(height, width, count, seed):
    example = rectangles(height, width, count, seed)
    found = augment(example, SMALL, np.random.default_rng(seed))
    new_height, new_width = found.size
    assert found.masks.shape == (len(found.boxes), new_height, new_width)
    assert set(found.labels.tolist()) <= set(range(count))
    assert (found.image_id, found.name) == (7, "picture")
    for box, mask in zip(found.boxes, found.masks, strict=True):
        assert (box[:2] >= 0).all()
        assert box[2] <= new_width
        assert box[3] <= new_height
        assert (box[2:] > box[:2]).all()
        # A thin object may lie between the pixels of a smaller mask.
        if mask.any():
            np.testing.assert_allclose(box, around(mask), atol=MOST_OFF)


@pytest.mark.parametrize("factors", [(2, 2), (3, 2), (1, 4)])
def test_resizing_by_whole_factors_is_exact(factors):
    example = rectangles(11, 14, 5)
    rows, columns = factors
    found = example.resized((11 * rows, 14 * columns))
    np.testing.assert_array_equal(
        found.boxes, example.boxes * [columns, rows, columns, rows]
    )
    boxes = [around(mask) for mask in found.masks]
    np.testing.assert_array_equal(found.boxes, boxes)
    assert found.image.dtype == "uint8"
    assert found.boxes.dtype == "float32"


def test_images_are_resized_about_the_centres_of_pixels():
    row = np.repeat(np.array([[[0], [101]]], "uint8"), 3, -1)
    boxes, labels = np.zeros((0, 4), "float32"), np.zeros(0, "int32")
    larger = DetectionExample(row, boxes, labels).resized((1, 4))
    # 25.25 and 75.75, rounded.
    assert larger.image[0, :, 0].tolist() == [0, 25, 76, 101]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (2, 4, [0, 0, 1, 1]),
        (4, 2, [0, 2]),
        (3, 2, [0, 1]),
        (5, 3, [0, 1, 3]),
        (3, 5, [0, 0, 1, 1, 2]),
    ],
)
def test_masks_take_the_pixel_of_the_corner(old, new, wanted):
    mask = np.arange(old)[None, :, None].repeat(2, -1)
    assert resize_masks(mask, (new, 2))[0, :, 1].tolist() == wanted
    turned = resize_masks(mask.transpose(0, 2, 1), (2, new))
    assert turned[0, 1].tolist() == wanted


def test_mirroring_twice_changes_nothing():
    example = rectangles(9, 13, 4)
    once = example.flipped()
    assert not np.array_equal(once.boxes, example.boxes)
    boxes = [around(mask) for mask in once.masks]
    np.testing.assert_array_equal(once.boxes, boxes)
    np.testing.assert_array_equal(once.image, example.image[:, ::-1])
    assert_equal(once.flipped(), example)


def test_crops_keep_what_reaches_into_them():
    boxes = [[0, 0, 5, 4], [0, 0, 6, 5], [8, 7, 20, 20], [12, 4, 20, 9]]
    example = rectangles(20, 20, 4)
    example = dataclasses.replace(example, boxes=np.array(boxes, "float32"))
    found = example.cropped(4, 5, 6, 7)
    # Columns 5 to 11 and rows 4 to 9: the first and the last only touch it.
    assert found.labels.tolist() == [1, 2]
    assert found.boxes.tolist() == [[0, 0, 1, 1], [3, 3, 7, 6]]
    np.testing.assert_array_equal(found.image, example.image[4:10, 5:12])
    np.testing.assert_array_equal(found.masks, example.masks[1:3, 4:10, 5:12])


def test_boxes_are_cut_to_the_picture():
    example = dataclasses.replace(
        rectangles(10, 20, 3),
        boxes=np.array(
            [[-3, -4, 5, 6], [15, 5, 25, 15], [20, 0, 30, 5]], "float32"
        ),
    )
    for size, factor in (((10, 20), 1), ((20, 40), 2)):
        found = example.resized(size)
        wanted = np.array([[0, 0, 5, 6], [15, 5, 20, 10]]) * factor
        np.testing.assert_array_equal(found.boxes, wanted)
        assert found.labels.tolist() == [0, 1]
        assert len(found.masks) == 2


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((480, 640), (800, 1067)),
        ((640, 480), (1067, 800)),
        ((427, 640), (800, 1199)),
        # The long side is the limit.
        ((240, 640), (500, 1333)),
        ((800, 1333), (800, 1333)),
    ],
)
def test_pictures_fit_the_scale_of_the_paper(size, wanted):
    image = np.zeros((*size, 3), "uint8")
    boxes, labels = np.zeros((0, 4), "float32"), np.zeros(0, "int32")
    example = DetectionExample(image, boxes, labels)
    found = augment(example, COCO_1X, np.random.default_rng(0))
    assert found.size == wanted
    assert fit(example, None).size == size


def test_every_size_and_both_sides_are_drawn():
    example = rectangles(40, 60, 3)
    rules = dataclasses.replace(SMALL, crop_rate=0.0)
    found = [
        augment(example, rules, np.random.default_rng(seed))
        for seed in range(60)
    ]
    assert {one.size for one in found} == {(24, 36), (32, 48), (47, 70)}
    plain = {one.size: one.image for one in found}
    again = sum(np.array_equal(one.image, plain[one.size]) for one in found)
    assert 15 < again < 45


def test_crops_have_random_sides_and_places():
    # Red and green tell row and column of the picture.
    rows, columns = np.mgrid[:40, :60]
    image = np.stack([rows, columns, rows], -1).astype("uint8")
    example = dataclasses.replace(rectangles(40, 60, 2), image=image)
    rules = DetectionAugmentation((40,), 60, 0.0, 1.0, (40,), (20, 36))
    parts = []
    for seed in range(80):
        found = augment(example, rules, np.random.default_rng(seed))
        top, left = found.image[..., :2].min(axis=(0, 1))
        bottom, right = found.image[..., :2].max(axis=(0, 1)) + 1
        parts.append((top, left, bottom - top, right - left))
    tops, lefts, heights, widths = np.array(parts).T
    for sides in (heights, widths):
        assert sides.min() >= 20
        assert sides.max() <= 36
        assert len(set(sides)) > 10
    assert tops.min() == 0
    assert (tops + heights).max() == 40
    assert len(set(lefts)) > 20


def test_crops_are_cut_from_pictures_of_their_own_sizes():
    # As large as the resized picture; its size then shows in the ratio.
    rules = DetectionAugmentation((40,), 400, 0.0, 1.0, (10, 30), (35, 35))
    example = rectangles(40, 60, 2)
    sizes = {
        augment(example, rules, np.random.default_rng(seed)).size
        for seed in range(20)
    }
    # 10x15 pixels, and 30x35 of 30x45.
    assert sizes == {(40, 60), (40, 47)}


def test_small_pictures_are_cut_no_smaller_than_they_are():
    rules = DetectionAugmentation((20,), 30, 0.0, 1.0, (20,), (25, 28))
    found = augment(rectangles(20, 30, 2), rules, np.random.default_rng(0))
    # 20 rows, and 25 to 28 columns.
    assert found.size[0] == 20
    assert 25 <= found.size[1] <= 28


def test_what_is_drawn_follows_from_the_generator():
    example = rectangles(40, 60, 4)
    found, again, other = (
        augment(example, SMALL, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert_equal(found, again)
    assert found.image.shape != other.image.shape


def test_pictures_without_objects_pass():
    for seed in range(20):
        example = rectangles(40, 60, 0)
        found = augment(example, SMALL, np.random.default_rng(seed))
        assert found.boxes.shape == (0, 4)
        assert found.masks.shape == (0, *found.size)


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ([0, 0, 1, 1], True),
        ([0, 0, 0.9, 5], False),
        ([0, 0, 5, 0.9], False),
        ([5, 5, 4, 9], False),
        ([20, 0, 25, 5], False),
        ([19, 9, 25, 15], True),
        ([-5, 0, 0, 5], False),
    ],
)
def test_learnable_boxes(box, wanted):
    found = learnable(np.array([box], "float32"), (10, 20))
    assert found.tolist() == [wanted]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("short_sides", ()),
        ("short_sides", 800),
        ("short_sides", (0,)),
        ("short_sides", (1334,)),
        ("short_sides", (800.0,)),
        ("crop_short_sides", (400, -1)),
        ("max_long_side", 0),
        ("max_long_side", 800.5),
        ("flip_rate", 1.5),
        ("crop_rate", -0.1),
        ("crop_range", (600, 384)),
        ("crop_range", (384,)),
        ("crop_range", (0, 384)),
    ],
)
def test_values_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be.*{name}="):
        DetectionAugmentation(**{name: value})


def test_crops_count_only_where_there_are_some():
    DetectionAugmentation((64,), 96)
    with pytest.raises(ValueError, match="`crop_short_sides` must be.*=96"):
        DetectionAugmentation((64,), 96, crop_rate=0.5)
