"""Window padding, sub-sampling and errors of the two attentions."""

import numpy as np
import pytest

from keras_twins.layers import GlobalSubsampledAttention
from keras_twins.layers import LocallyGroupedAttention
from tests.tiny import images
from tests.tiny import randomise
from tests.tiny import to_numpy


def _local(window_padding, x):
    layer = LocallyGroupedAttention(2, 4, window_padding)
    layer.build(x.shape)
    randomise(layer)
    return layer


def _difference(size, first, second) -> float:
    x = images(1, *size, 8)
    outputs = [to_numpy(_local(p, x)(x)) for p in (first, second)]
    return float(np.abs(outputs[0] - outputs[1]).max())


@pytest.mark.parametrize(
    "size, legacy_masks",
    [((6, 9), True), ((8, 9), False), ((6, 8), False), ((8, 8), False)],
)
def test_masked_legacy_masks_only_where_both_sides_are_padded(
    size, legacy_masks
):
    like = "masked" if legacy_masks else "zero"
    assert _difference(size, "masked_legacy", like) < 1e-6
    if size != (8, 8):
        other = "zero" if legacy_masks else "masked"
        assert _difference(size, "masked_legacy", other) > 1e-3


def test_masked_windows_do_not_see_their_padding():
    """A lone window of 3x3 is attention over its nine positions."""
    x = images(1, 3, 3, 8)
    masked = _local("masked", x)
    exact = LocallyGroupedAttention(2, 3)
    exact.build(x.shape)
    exact.set_weights(masked.get_weights())
    np.testing.assert_allclose(
        to_numpy(masked(x)), to_numpy(exact(x)), atol=1e-6
    )


@pytest.mark.parametrize("padding", ["zero", "masked", "masked_legacy"])
def test_windows_do_not_see_each_other(padding):
    x = images(1, 8, 9, 8)
    layer = _local(padding, x)
    changed = x.copy()
    changed[:, :4, :4] += 1.0
    difference = np.abs(to_numpy(layer(x)) - to_numpy(layer(changed))).max(-1)
    assert (difference[:, :4, :4] > 1e-4).all()
    assert (difference[:, 4:] < 1e-6).all()
    assert (difference[:, :, 4:] < 1e-6).all()


def test_global_attention_sees_everything_but_the_rest():
    """Rows that do not fill a reduction patch are queries, not keys."""
    x = images(1, 5, 4, 8)
    layer = GlobalSubsampledAttention(2, 2)
    layer.build(x.shape)
    randomise(layer)
    outputs = to_numpy(layer(x))
    first, last = x.copy(), x.copy()
    first[:, 0] += 1.0
    last[:, 4] += 1.0
    seen = np.abs(to_numpy(layer(first)) - outputs).max(-1)
    unseen = np.abs(to_numpy(layer(last)) - outputs).max(-1)
    assert (seen > 1e-6).all()
    assert (unseen[:, :4] < 1e-6).all() and (unseen[:, 4] > 1e-5).all()


def test_average_pool_is_a_mean():
    x = images(1, 4, 4, 8)
    layer = GlobalSubsampledAttention(2, 2, "average_pool")
    layer.build(x.shape)
    pooled = to_numpy(layer.reduction(x))
    expected = x.reshape(1, 2, 2, 2, 2, 8).mean((2, 4))
    np.testing.assert_allclose(pooled, expected, atol=1e-6)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="`window_padding` must be"):
        LocallyGroupedAttention(2, 7, "circular")
    with pytest.raises(ValueError, match="`reduction` must be"):
        GlobalSubsampledAttention(2, 2, "max_pool")
    with pytest.raises(ValueError, match="num_heads=3, channels=8"):
        LocallyGroupedAttention(3, 7).build((None, 8, 8, 8))
    with pytest.raises(ValueError, match="at least 8x8"):
        GlobalSubsampledAttention(2, 8)(images(1, 7, 9, 8))
    with pytest.raises(ValueError, match="known channels"):
        LocallyGroupedAttention(2, 7).build((None, 8, 8))
