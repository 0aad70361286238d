import sys

import numpy as np
import pytest

from keras_twins.data import load_digits
from keras_twins.data import load_photographs

pytest.importorskip("sklearn")


def test_digits_are_images_of_the_asked_size():
    (x_train, y_train), (x_test, y_test) = load_digits(40, channels=1)
    assert x_train.shape == (1438, 40, 40, 1)
    assert x_test.shape == (359, 40, 40, 1)
    assert x_train.dtype == np.uint8
    assert (x_train.min(), x_train.max()) == (0, 255)
    assert y_train.shape == (1438,)
    assert set(y_test) == set(range(10))


def test_enlarging_keeps_the_picture():
    from sklearn.datasets import load_digits as originals

    (x_train, _), (x_test, _) = load_digits(32)
    digits = np.concatenate([x_train, x_test])[..., 0].astype("float32")
    coarse = digits.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4))
    wanted = originals().images * 255 / 16
    # The split changes the order, so compare the images as sets.
    means = np.sort(coarse.mean(axis=(1, 2)))
    np.testing.assert_allclose(
        means, np.sort(wanted.mean(axis=(1, 2))), atol=6.0
    )
    np.testing.assert_array_equal(x_train[..., 0], x_train[..., 2])


def test_original_size_changes_nothing():
    from sklearn.datasets import load_digits as originals

    (x_train, _), (x_test, _) = load_digits(8, channels=1)
    found = {image.tobytes() for image in np.concatenate([x_train, x_test])}
    wanted = np.rint(originals().images * (255 / 16)).astype("uint8")
    assert found == {image.tobytes() for image in wanted}


def test_split_is_stratified_and_disjoint():
    (x_train, y_train), (x_test, y_test) = load_digits(8, test_fraction=0.25)
    counts = np.bincount(np.concatenate([y_train, y_test]))
    np.testing.assert_allclose(np.bincount(y_test), counts / 4, atol=0.5)
    train = {image.tobytes() for image in x_train}
    assert not train & {image.tobytes() for image in x_test}


def test_split_follows_the_seed():
    again, other = load_digits(8), load_digits(8, seed=1)
    np.testing.assert_array_equal(load_digits(8)[1][0], again[1][0])
    assert not np.array_equal(again[1][0], other[1][0])


@pytest.mark.parametrize(
    ("argument", "value"),
    [("image_size", 7), ("test_fraction", 1.0), ("channels", 0)],
)
def test_wrong_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=f"{argument}.*Received: {argument}="):
        load_digits(**{argument: value})


def test_photographs():
    pytest.importorskip("PIL")
    photographs = load_photographs()
    assert list(photographs) == ["china", "flower"]
    for image in photographs.values():
        assert image.shape == (427, 640, 3)
        assert image.dtype == np.uint8
    # The sky above the temple is blue, the petals of the dahlia are orange.
    red, _, blue = photographs["china"][:100].mean(axis=(0, 1))
    assert blue > red
    red, _, blue = photographs["flower"][180:280, 270:370].mean(axis=(0, 1))
    assert red > blue


def test_missing_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"scikit-learn.*keras-twins\[data\]"):
        load_digits()
