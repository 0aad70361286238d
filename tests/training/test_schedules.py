import keras
import pytest

from keras_twins.training import WarmupPolynomialDecay
from keras_twins.training import WarmupStepDecay


def test_polynomial_decay():
    schedule = WarmupPolynomialDecay(1e-4, 80_000, power=0.9, end=1e-6)
    for step in (0, 1, 40_000, 79_999, 80_000, 90_000):
        rest = max(1 - step / 80_000, 0)
        expected = (1e-4 - 1e-6) * rest**0.9 + 1e-6
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-4)


def test_warm_up_scales_the_decay():
    schedule = WarmupPolynomialDecay(6e-5, 160_000, warmup_steps=1500)
    assert float(schedule(0)) == pytest.approx(6e-11, rel=1e-2)
    half = 6e-5 * (1 - 750 / 160_000) * (1 - 0.5 * (1 - 1e-6))
    assert float(schedule(750)) == pytest.approx(half, rel=1e-4)
    after = 6e-5 * (1 - 1500 / 160_000)
    assert float(schedule(1500)) == pytest.approx(after, rel=1e-4)
    assert float(schedule(160_000)) == 0


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 2e-7),
        (250, 2e-4 * (0.5 + 0.5 * 1e-3)),
        (500, 2e-4),
        (799, 2e-4),
        (800, 2e-5),
        (1099, 2e-5),
        (1100, 2e-6),
        (9999, 2e-6),
    ],
)
def test_steps_fall_one_after_the_other(step, rate):
    schedule = WarmupStepDecay(2e-4, (800, 1100), warmup_steps=500)
    assert float(schedule(step)) == pytest.approx(rate, rel=1e-5)


def test_steps_without_warm_up():
    schedule = WarmupStepDecay(1.0, [2], factor=0.5)
    assert [float(schedule(i)) for i in range(4)] == [1.0, 1.0, 0.5, 0.5]


@pytest.mark.parametrize(
    "schedule",
    [
        WarmupPolynomialDecay(1e-3, 10, 0.5, 1e-5, 3, 0.1),
        WarmupStepDecay(1e-3, (4, 7), 0.3, 3, 0.1),
    ],
    ids=["polynomial", "step"],
)
def test_configuration(schedule):
    optimizer = keras.optimizers.AdamW(schedule)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for step in range(11):
        assert float(again._learning_rate(step)) == float(schedule(step))


@pytest.mark.parametrize("arguments", [(0,), (10, 1.0, 0.0, 11)])
def test_wrong_numbers(arguments):
    with pytest.raises(ValueError, match="`steps` must be positive"):
        WarmupPolynomialDecay(1e-3, *arguments)


@pytest.mark.parametrize(
    ("boundaries", "warmup"),
    [((0, 5), 0), ((5, 5), 0), ((7, 5), 0), ((5,), -1)],
)
def test_wrong_boundaries(boundaries, warmup):
    with pytest.raises(ValueError, match="`boundaries` must be positive"):
        WarmupStepDecay(1e-3, boundaries, warmup_steps=warmup)
