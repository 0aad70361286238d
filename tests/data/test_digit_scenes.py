import dataclasses
import sys

import numpy as np
import pytest

from keras_twins.data import SCENE_CLASSES
from keras_twins.data import digit_scenes
from keras_twins.data import load_digit_scenes
from keras_twins.data.scene_drawing import Canvas
from keras_twins.data.scene_drawing import bilinear
from keras_twins.data.scene_drawing import digit_coverage

pytest.importorskip("sklearn")
pytest.importorskip("PIL")

WHITE = np.array([255, 255, 255], "float32")
SIZE = 64


@pytest.fixture(scope="module")
def scenes():
    return load_digit_scenes(12, image_size=SIZE, digits=(2, 5), seed=3)


def black(size=SIZE):
    return Canvas(np.zeros((size, size, 3), "float32"))


def digit():
    """Ink of a digit-like picture of 8x8 cells, enlarged four times."""
    cells = np.random.default_rng(0).uniform(0, 1, (8, 8))
    return np.kron(cells, np.ones((4, 4), "float32"))


def test_fields_have_the_documented_shapes_and_types(scenes):
    wanted = {
        "images": ((12, SIZE, SIZE, 3), "uint8"),
        "semantic_masks": ((12, SIZE, SIZE), "uint8"),
        "boxes": ((12, 5, 4), "float32"),
        "labels": ((12, 5), "int32"),
        "valid": ((12, 5), "bool"),
        "masks": ((12, 5, SIZE, SIZE), "bool"),
    }
    found = {
        field.name: getattr(scenes, field.name)
        for field in dataclasses.fields(scenes)
    }
    assert {
        name: (array.shape, array.dtype.name) for name, array in found.items()
    } == wanted
    assert len(scenes) == 12
    batch = scenes.detection()
    assert set(batch) == set(wanted) - {"semantic_masks"}
    assert all(batch[name] is found[name] for name in batch)


def test_classes_name_the_values_of_the_masks(scenes):
    assert len(SCENE_CLASSES) == 11
    assert SCENE_CLASSES[0] == "background"
    assert SCENE_CLASSES[4] == "digit 3"
    assert set(np.unique(scenes.semantic_masks)) <= set(range(11))


def test_semantic_masks_are_the_union_of_the_instances(scenes):
    assert (scenes.masks.sum(axis=1) <= 1).all()
    classes = (scenes.labels + 1)[..., None, None] * scenes.masks
    np.testing.assert_array_equal(scenes.semantic_masks, classes.sum(axis=1))


def test_valid_slots_come_first_and_the_others_are_empty(scenes):
    counts = scenes.valid.sum(axis=1)
    assert counts.min() >= 1
    assert len(set(counts)) > 1
    np.testing.assert_array_equal(scenes.valid, np.arange(5) < counts[:, None])
    assert (scenes.labels[~scenes.valid] == -1).all()
    assert (scenes.boxes[~scenes.valid] == 0).all()
    assert not scenes.masks[~scenes.valid].any()
    assert set(scenes.labels[scenes.valid]) <= set(range(10))


def test_boxes_are_tight(scenes):
    boxes, masks = scenes.boxes[scenes.valid], scenes.masks[scenes.valid]
    for (x1, y1, x2, y2), mask in zip(boxes.astype(int), masks, strict=True):
        inside = mask[y1:y2, x1:x2]
        assert inside.sum() == mask.sum()
        for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert edge.any()


def test_mask_is_where_the_digit_covers_half_of_the_pixel():
    canvas = black()
    canvas.add_digit(7, digit_coverage(digit(), 30, 0.3), WHITE, 5, 9)
    picture = canvas.image[..., 0]
    assert ((picture > 0) & (picture < 255)).any()
    np.testing.assert_array_equal(canvas.owner == 0, picture >= 127.5)


def test_later_digits_cover_earlier_ones():
    canvas = black(4)
    canvas.add_digit(1, np.ones((2, 4), "float32"), WHITE, 1, 0)
    canvas.add_digit(2, np.full((4, 2), 0.5, "float32"), WHITE, 0, 1)
    canvas.add_digit(3, np.full((4, 1), 0.4, "float32"), WHITE, 0, 0)
    assert canvas.labels == [1, 2, 3]
    wanted = [[-1, 1, 1, -1], [0, 1, 1, 0], [0, 1, 1, 0], [-1, 1, 1, -1]]
    np.testing.assert_array_equal(canvas.owner, wanted)


@pytest.mark.parametrize(("max_overlap", "count"), [(0.0, 2), (0.3, 6)])
def test_digits_stay_visible(max_overlap, count):
    rng = np.random.default_rng(0)
    canvas, coverage = black(30), np.ones((10, 10), "float32")
    for label in range(10):
        canvas.scatter_digit(rng, label, coverage, max_overlap)
    areas = [(canvas.owner == slot).sum() for slot in range(len(canvas.labels))]
    assert count <= len(areas) < 10
    assert min(areas) >= 100 * (1 - max_overlap)
    if max_overlap:
        assert min(areas) < 100


def test_upright_digit_is_the_enlarged_picture():
    ink = np.zeros((32, 32), "float32")
    ink[8:24, 4:12] = 1
    coverage = digit_coverage(ink, 64, 0.0) >= 0.5
    assert coverage.sum() == pytest.approx(32 * 16, rel=0.1)
    height, width = digit_coverage(ink, 64, np.pi / 2).shape
    assert (height, width) == coverage.shape[::-1]


def test_bilinear_samples():
    image = np.array([[0.0, 2.0], [4.0, 6.0]])
    rows = np.array([0.0, 0.5, 0.5, -1.0, 9.0, 1.5])
    columns = np.array([1.0, 0.0, 0.5, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(
        bilinear(image, rows, columns), [2, 2, 3, 0, 0, 3]
    )


def test_scenes_follow_from_seed_and_index(scenes):
    def first(**changes):
        options = {"image_size": SIZE, "digits": (2, 5), "seed": 3, **changes}
        return load_digit_scenes(1, **options)

    for field in dataclasses.fields(scenes):
        np.testing.assert_array_equal(
            getattr(first(), field.name), getattr(scenes, field.name)[:1]
        )
    for other in (first(seed=4), first(held_out=True)):
        assert not np.array_equal(other.images, scenes.images[:1])
    assert not np.array_equal(scenes.images[0], scenes.images[1])


def test_held_out_scenes_share_nothing_with_training(monkeypatch):
    seen = {}

    def record(held_out):
        inks, parts = set(), []

        def coverage(ink, *arguments):
            inks.add(ink.tobytes())
            return digit_coverage(ink, *arguments)

        def background(rng, size, photographs, dark):
            parts.extend(photographs)
            return Canvas(np.zeros((size, size, 3), "float32"))

        monkeypatch.setattr(digit_scenes, "digit_coverage", coverage)
        monkeypatch.setattr(digit_scenes, "draw_background", background)
        load_digit_scenes(150, held_out=held_out, image_size=48)
        seen[held_out] = inks, [part.shape for part in parts[:2]]

    record(True)
    record(False)
    assert min(len(inks) for inks, _ in seen.values()) > 200
    assert not seen[True][0] & seen[False][0]
    assert seen[True][1] == [(427, 192, 3)] * 2
    assert seen[False][1] == [(427, 448, 3)] * 2


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("count", 0),
        ("image_size", 31),
        ("seed", -1),
        ("digits", (0, 3)),
        ("digits", (4, 3)),
        ("digits", (1, 101)),
        ("digit_sizes", (0.0, 0.3)),
        ("digit_sizes", (0.3, 0.2)),
        ("digit_sizes", (0.3, 0.8)),
        ("max_overlap", -0.1),
        ("max_overlap", 1.0),
    ],
)
def test_wrong_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=f"{argument}.*Received: {argument}="):
        load_digit_scenes(**{"count": 1, argument: value})


def test_light_digits_are_lighter_than_all_else():
    scenes = load_digit_scenes(8, image_size=SIZE, light_on_dark=True, seed=1)
    # A pixel that a digit covers by half blends both.
    lightness = scenes.images.max(axis=-1).astype(int)
    found = scenes.semantic_masks > 0
    for picture, digit in zip(lightness, found, strict=True):
        assert np.median(picture[digit]) > 170
        assert picture[~digit].max() <= 192
    assert (lightness[~found] > 64).any()


def test_digits_have_the_sizes_asked_for():
    small, large = (
        load_digit_scenes(
            20, image_size=64, digits=(1, 1), digit_sizes=(side, side)
        )
        for side in (0.25, 0.5)
    )

    def sides(scenes):
        x1, y1, x2, y2 = np.moveaxis(scenes.boxes[:, 0], -1, 0)
        return np.maximum(x2 - x1, y2 - y1)

    # A digit fills 8 of 8 cells one way or the other, or nearly so.
    assert 10 <= sides(small).min() <= sides(small).max() <= 16 * 1.4
    ratio = sides(large).mean() / sides(small).mean()
    assert ratio == pytest.approx(2, rel=0.15)


def test_digits_can_be_kept_apart():
    apart, over = (
        load_digit_scenes(8, image_size=48, max_overlap=overlap)
        for overlap in (0.0, 0.5)
    )
    # What one digit hides of another belongs to the upper one alone.
    sizes = [scenes.masks.sum(axis=(2, 3))[:, 0] for scenes in (apart, over)]
    assert (sizes[0] >= sizes[1]).all()
    assert (sizes[0] > sizes[1]).any()


def test_largest_digits_have_room():
    scenes = load_digit_scenes(
        40, image_size=32, digits=(1, 1), digit_sizes=(0.7, 0.7)
    )
    assert scenes.valid.all()


def test_smallest_scene_has_room_for_many_digits():
    scenes = load_digit_scenes(2, image_size=32, digits=(30, 30))
    assert scenes.labels.shape == (2, 30)
    assert (scenes.masks[scenes.valid].sum(axis=(1, 2)) > 0).all()


def test_missing_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"keras-twins\[data\]"):
        load_digit_scenes(1)
