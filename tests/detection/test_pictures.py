import sys

import numpy as np
import pytest

from keras_twins.detection.detections import Detections
from keras_twins.detection.pictures import class_colors
from keras_twins.detection.pictures import draw_detections
from keras_twins.detection.pictures import write_detections

Image = pytest.importorskip("PIL.Image")

NAMES = ["cat", "dog", "tennis racket"]


def grey(height=600, width=800):
    return np.full((height, width, 3), 101, "uint8")


def detections(*rows, masks=None) -> Detections:
    table = np.array(rows, "float32").reshape(-1, 6)
    labels = table[:, 5].astype("int32")
    return Detections(table[:, :4], table[:, 4], labels, masks)


def test_colors_are_different_and_always_the_same():
    colors = class_colors(80)
    assert colors.shape == (80, 3) and colors.dtype == np.uint8
    assert len({tuple(color) for color in colors.tolist()}) == 80
    np.testing.assert_array_equal(class_colors(3), colors[:3])
    distances = np.abs(np.diff(colors.astype(int), axis=0)).sum(axis=1)
    assert distances.min() > 100


def test_boxes_are_drawn_in_the_colors_of_their_classes():
    found = detections([100, 200, 300, 500, 0.9, 1], [400, 50, 700, 90, 0.8, 2])
    image = grey()
    picture = np.asarray(draw_detections(image, found, NAMES))
    assert picture.shape == image.shape and (image == 101).all()
    colors = class_colors(3)
    for (y, x), color in {
        (200, 250): colors[1],
        (499, 100): colors[1],
        (350, 299): colors[1],
        (89, 500): colors[2],
        (350, 200): [101] * 3,
        (70, 500): [101] * 3,
        (400, 500): [101] * 3,
    }.items():
        np.testing.assert_array_equal(picture[y, x], color)
    # The caption stands above the box, and says something.
    caption = picture[185:199, 100:140]
    assert (caption == colors[1]).all(axis=-1).mean() > 0.3
    assert len(np.unique(caption.reshape(-1, 3), axis=0)) > 2


def test_masks_tint_their_pixels():
    masks = np.zeros((1, 600, 800), bool)
    masks[0, 250:400, 150:250] = True
    found = detections([100, 200, 300, 500, 0.9, 0], masks=masks)
    picture = np.asarray(draw_detections(grey(), found, NAMES))
    color = class_colors(3)[0].astype(float)
    np.testing.assert_array_equal(
        picture[300, 200], np.rint(0.55 * 101 + 0.45 * color)
    )
    np.testing.assert_array_equal(picture[250, 200], color)
    np.testing.assert_array_equal(picture[240, 200], [101] * 3)


def test_low_scores_are_not_drawn():
    found = detections([100, 200, 300, 500, 0.29, 0])
    picture = np.asarray(draw_detections(grey(), found, NAMES))
    np.testing.assert_array_equal(picture, grey())
    picture = np.asarray(draw_detections(grey(), found, NAMES, 0.2))
    assert (picture != 101).any()


def test_the_surest_is_above_the_others():
    masks = np.ones((2, 600, 800), bool)
    rows = [[0, 0, 800, 600, 0.9, 0], [0, 0, 800, 600, 0.5, 1]]
    picture = np.asarray(
        draw_detections(grey(), detections(*rows, masks=masks), NAMES)
    )
    np.testing.assert_array_equal(picture[599, 400], class_colors(2)[0])


def test_captions_that_have_room_do_not_overlap():
    rows = [[100, 200, 500, 500, 0.9 - 0.1 * i, i] for i in range(3)]
    picture = np.asarray(draw_detections(grey(), detections(*rows), NAMES))
    for color in class_colors(3):
        same = (picture == color).all(axis=-1)
        # Lines are 2 pixels wide.
        filled = same[:-4] & same[4:]
        assert filled.sum() > 300


def caption_of(name, width=800, score=0.9) -> np.ndarray:
    """Returns what stands above a box that is as wide as the picture."""
    found = detections([0, 300, width, 500, score, 0])
    picture = draw_detections(grey(width=width), found, [name])
    return np.asarray(picture)[280:298]


def test_letters_beyond_english():
    pytest.importorskip("matplotlib")
    drawn = [caption_of(x).tobytes() for x in ("é", "λ", "ж", "\uffff")]
    assert len(set(drawn)) == 4


def test_long_names_are_shortened_and_keep_their_score():
    sure, unsure = (caption_of(900 * "a", 300, x) for x in (0.88, 0.44))
    differs = (sure != unsure).any(axis=(0, 2))
    assert not differs[:-50].any() and differs[-50:].any()
    # All is within the picture: before its edge there is the margin.
    margin = sure[4:14, -2:].reshape(-1, 3)
    assert len(np.unique(margin, axis=0)) == 1


@pytest.mark.parametrize("size", [(20, 30), (9, 3), (3, 90), (60, 500)])
def test_small_images_are_enlarged(size):
    height, width = size
    found = detections([1, 1, width, height, 0.9, 2])
    picture = draw_detections(grey(*size), found, NAMES)
    factor = picture.size[0] // width
    assert picture.size == (factor * width, factor * height)
    assert 512 <= max(picture.size) < 512 + max(size)


@pytest.mark.parametrize("shape", [(600, 800), (600, 800, 1), (600, 800, 4)])
def test_images_of_other_kinds(shape):
    found = detections([100, 200, 300, 500, 0.9, 0])
    picture = draw_detections(np.full(shape, 101.0), found, NAMES)
    expected = draw_detections(grey(), found, NAMES)
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))


@pytest.mark.parametrize(
    "box",
    [
        (-50, -50, 10, 10),
        (790, 590, 900, 700),
        (100, 100, 100, 100),
        (300, 300, 200, 200),
        (2000, 2000, 3000, 3000),
    ],
)
def test_boxes_at_and_beyond_the_border(box):
    found = detections([*box, 0.9, 0])
    picture = np.asarray(draw_detections(grey(), found, NAMES))
    assert (picture != 101).any()


@pytest.mark.parametrize(
    ("name", "start"),
    [("x.jpg", b"\xff\xd8"), ("x.WEBP", b"RIFF"), ("x", b"\x89PNG")],
)
def test_the_suffix_says_the_format(tmp_path, name, start):
    path = tmp_path / name
    write_detections(path, grey(), detections(), NAMES)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


SHIFTED = np.zeros((1, 800, 600), bool)


@pytest.mark.parametrize(
    ("found", "image", "name", "message"),
    [
        (detections([0, 0, 9, 9, 0.9, 3]), grey(), "x.png", "3 names.*label 3"),
        (
            detections([0, 0, 9, 9, 0.9, 0], masks=SHIFTED),
            grey(),
            "x.png",
            r"\(600, 800\). Received: masks of size \(800, 600\)",
        ),
        (detections(), grey() / 255, "x.png", "from 0 to 255"),
        (detections(), grey(), "x.bmp8", "must end with one of .*'.png'"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    tmp_path, found, image, name, message
):
    with pytest.raises(ValueError, match=message):
        write_detections(tmp_path / name, image, found, NAMES)
    assert not list(tmp_path.iterdir())


def test_without_pillow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.ImageDraw", None)
    with pytest.raises(ImportError, match=r"keras-twins\[plot\]"):
        draw_detections(grey(), detections(), NAMES)
