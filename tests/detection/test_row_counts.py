import keras
import numpy as np
import pytest

from keras_twins.detection.row_counts import first_rows
from keras_twins.ops import runs_at_once
from tests.compiling import compiled
from tests.tiny import to_numpy

ROWS = 8


@pytest.mark.parametrize(
    ("needed", "computed"), [([], 2), ([1], 2), ([0, 3], 4), ([4], 8), ([7], 8)]
)
def test_computes_up_to_the_smallest_size_with_room(needed, computed):
    x = np.arange(2.0 * ROWS * 3, dtype="float32").reshape(2, ROWS, 3) + 1
    mask = np.isin(np.arange(ROWS), needed)

    def run(inputs, mask):
        return first_rows(lambda n: 2 * inputs[:, :n], mask, (0.25, 0.5))

    if runs_at_once():
        computed = max([1, *(row + 1 for row in needed)])
    expected = np.where(np.arange(ROWS)[:, None] < computed, 2 * x, 0)
    inputs = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(mask)
    for function in (run, *compiled(run)):
        np.testing.assert_array_equal(to_numpy(function(*inputs)), expected)
