import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_twins.ade20k import class_names
from keras_twins.ade20k import palette
from keras_twins.segmentation.pictures import overlay
from keras_twins.segmentation.pictures import write_overlay

COLORS = np.array([[0, 0, 0], [200, 100, 0], [255, 255, 255]])
LABELS = np.array([[0, 1, 2, 255]], "uint8")


def grey(height=1, width=4, value=101):
    return np.full((height, width, 3), value, "uint8")


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0, [[101] * 3] * 4),
        (0.5, [[50] * 3, [150, 100, 50], [178] * 3, [101] * 3]),
        (1, [*COLORS.tolist(), [101] * 3]),
    ],
)
def test_pixels_are_tinted_by_their_classes(alpha, expected):
    image = grey()
    picture = overlay(image, LABELS, COLORS, alpha)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[0], expected)
    assert (image == 101).all()


def test_any_label_can_be_the_ignored_one():
    picture = overlay(grey(1, 3), LABELS[:, :3], COLORS, 1, ignore_class=0)
    np.testing.assert_array_equal(picture[0], [[101] * 3, *COLORS[1:]])
    many = np.arange(300)[:, None].repeat(3, axis=1) % 256
    labels = np.array([[255, 299]])
    picture = overlay(grey(1, 2), labels, many, 1, ignore_class=None)
    assert picture[0, :, 0].tolist() == [255, 43]


@pytest.mark.parametrize("shape", [(1, 4), (1, 4, 1), (1, 4, 4)])
def test_images_of_other_kinds(shape):
    image = np.full(shape, 101.0)
    np.testing.assert_array_equal(
        overlay(image, LABELS, COLORS), overlay(grey(), LABELS, COLORS)
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": LABELS.T}, r"image, 1x4. Received: shape=\(4, 1\)"),
        ({"labels": LABELS[..., None]}, r"shape=\(1, 4, 1\)"),
        ({"labels": LABELS / 2}, "dtype=float64"),
        ({"labels": LABELS + 2}, r"2 other values, such as \[3, 4\]"),
        ({"labels": LABELS.astype(int) - 1}, r"such as \[-1, 254\]"),
        ({"palette": COLORS[:2]}, r"2 colours.*such as \[2\]"),
        ({"palette": COLORS[0]}, r"`palette` must.*shape=\(3,\)"),
        ({"palette": COLORS[:, :2]}, r"`palette` must.*shape=\(3, 2\)"),
        ({"palette": COLORS[:0]}, r"`palette` must.*shape=\(0, 3\)"),
        ({"palette": COLORS / 255}, "`palette` must.*dtype=float64"),
        ({"palette": COLORS - 1}, "from -1 to 254"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"image": grey() / 255}, "values from 0.39.* to 0.39"),
        ({"image": grey() - 128.0}, "values from -27 to -27"),
        ({"image": grey(2)}, "image, 2x4"),
        ({"image": "photo.png"}, "the name .photo.png."),
    ],
)
def test_what_does_not_fit_is_named(changed, message):
    arguments = {"image": grey(), "labels": LABELS, "palette": COLORS}
    with pytest.raises(ValueError, match=message):
        overlay(**{**arguments, **changed})


@pytest.mark.parametrize("size", [(30, 200), (200, 30), (60, 80)])
def test_the_picture_is_written_whole(tmp_path, size):
    path = tmp_path / "overlay.png"
    labels = np.arange(size[0] * size[1]).reshape(size) % 150
    write_overlay(path, grey(*size), labels, class_names(), palette())
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "start"),
    [("x.jpg", b"\xff\xd8"), ("x.PDF", b"%PDF"), ("x", b"\x89PNG")],
)
def test_the_suffix_says_the_format(tmp_path, name, start):
    path = tmp_path / name
    write_overlay(path, grey(), LABELS, "abc", COLORS)
    assert path.read_bytes().startswith(start)


def test_the_legend_names_the_largest_classes(tmp_path, monkeypatch):
    legends = []
    draw = Figure.legend

    def legend(figure, **keywords):
        legends.append([h.get_label() for h in keywords["handles"]])
        return draw(figure, **keywords)

    monkeypatch.setattr(Figure, "legend", legend)
    labels = np.array([[1, 1, 1, 0, 0, 2, 3, 255, 255, 255]])
    colors = np.concatenate([COLORS, COLORS])
    image = grey(1, 10)
    path = tmp_path / "x.png"
    write_overlay(path, image, labels, "abcdef", colors, max_legend=2)
    write_overlay(path, image, labels, "abcdef", colors)
    write_overlay(path, image, np.full((1, 10), 255), "abcdef", colors)
    assert legends == [
        ["b  42.9%", "a  28.6%", "2 more  28.6%"],
        ["b  42.9%", "a  28.6%", "c  14.3%", "d  14.3%"],
    ]


@pytest.mark.parametrize(
    ("name", "names", "message"),
    [
        ("x.png", "ab", "2 names, 3 colours"),
        ("x.bmp8", "abc", "must end with one of .*'png'"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    tmp_path, name, names, message
):
    with pytest.raises(ValueError, match=message):
        write_overlay(tmp_path / name, grey(), LABELS, names, COLORS)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"keras-twins\[plot\]"):
        write_overlay(tmp_path / "x.png", grey(), LABELS, "abc", COLORS)
    assert overlay(grey(), LABELS, COLORS).shape == (1, 4, 3)
