import numpy as np
import pytest

from keras_twins.layers import FeaturePyramid
from tests.testers import check_layer
from tests.tiny import images
from tests.tiny import to_numpy

MAPS = [images(2, 13, 10, 4), images(2, 7, 5, 6), images(2, 3, 2, 8)]


def test_layer():
    check_layer(
        lambda **kw: FeaturePyramid(5, **kw),
        MAPS,
        [(2, 13, 10, 5), (2, 7, 5, 5), (2, 3, 2, 5)],
        num_weights=12,
    )


def test_levels_hear_of_those_above_only():
    layer = FeaturePyramid(5)
    before = [to_numpy(x) for x in layer(MAPS)]
    changed = [MAPS[0] + 1, *MAPS[1:]]
    after = [to_numpy(x) for x in layer(changed)]
    assert not np.allclose(after[0], before[0])
    np.testing.assert_array_equal(after[1], before[1])
    changed = [*MAPS[:2], MAPS[2] + 1]
    after = [to_numpy(x) for x in layer(changed)]
    assert not np.allclose(after[0], before[0])


def test_filters_must_be_positive():
    with pytest.raises(ValueError, match="`filters` must be positive"):
        FeaturePyramid(0)
