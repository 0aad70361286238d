import keras
import numpy as np
import pytest

from keras_twins.ops import counting
from tests.compiling import compiled
from tests.tiny import to_numpy


def integers(*shape, low=0, high=4, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(low, high, shape).astype("int32")


def expected_pairs(labels, predicted, num_classes, counted):
    counts = np.zeros(num_classes**2 + 1, "int32")
    for label, guess in zip(labels[counted], predicted[counted], strict=True):
        inside = 0 <= label < num_classes and 0 <= guess < num_classes
        counts[label * num_classes + guess if inside else -1] += 1
    return counts


def test_count_values():
    values = integers(3, 50, high=6)
    counts = to_numpy(counting.count_values(values, 8))
    assert counts.dtype == np.int32
    np.testing.assert_array_equal(counts, np.bincount(values.ravel(), None, 8))


def test_count_values_of_nothing():
    counts = to_numpy(counting.count_values(np.zeros((0,), "int32"), 3))
    np.testing.assert_array_equal(counts, [0, 0, 0])


@pytest.mark.parametrize("masked", [False, True])
def test_count_pairs_compiles(masked):
    labels, predicted = integers(2, 9, 7), integers(2, 9, 7, seed=1)
    counted = integers(2, 9, 7, high=2, seed=2) > 0
    if not masked:
        counted[:] = True

    def count(labels, predicted, counted):
        mask = counted if masked else None
        return counting.count_pairs(labels, predicted, 4, mask)

    expected = expected_pairs(labels, predicted, 4, counted)
    for run in (count, *compiled(count)):
        counts = to_numpy(run(labels, predicted, counted))
        assert tuple(counts.shape) == (17,)
        np.testing.assert_array_equal(counts, expected)


def test_count_pairs_sets_what_is_no_class_apart():
    labels = np.array([0, -1, 4, 2, 255], "int32")
    predicted = np.array([0, 0, 0, 9, 255], "int32")
    counts = to_numpy(counting.count_pairs(labels, predicted, 4))
    assert counts[0] == 1 and counts[-1] == 4 and counts.sum() == 5


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
def test_best_class(dtype):
    scores = np.array([[1, 3, 2], [2, 2, 1], [-3, -2, -1]], "float32")
    best = counting.best_class(keras.ops.cast(scores, dtype))
    assert keras.backend.standardize_dtype(best.dtype) == "int32"
    # The first of those that are equal.
    np.testing.assert_array_equal(to_numpy(best), [1, 0, 2])
