import math

import keras
import pytest

from keras_twins.training.cosine_epochs import WarmupCosineEpochs


def cosine(epoch, epochs, peak):
    return 1e-5 + (peak - 1e-5) * (1 + math.cos(math.pi * epoch / epochs)) / 2


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (0, 1e-6),
        (1, 1e-6 + (1e-3 - 1e-6) / 5),
        (4, 1e-6 + (1e-3 - 1e-6) * 4 / 5),
        (5, cosine(5, 300, 1e-3)),
        (150, 5.05e-4),
        (299, cosine(299, 300, 1e-3)),
        (300, 1e-5),
        (400, 1e-5),
    ],
)
def test_cosine_over_epochs(epoch, rate):
    late = WarmupCosineEpochs(1e-3, 1251, 300, warmup_epochs=5, delay=1)
    schedule = WarmupCosineEpochs(1e-3, 1251, 300, warmup_epochs=5)
    for step in (0, 1250):
        found = schedule(1251 * epoch + step)
        assert float(found) == pytest.approx(rate, rel=1e-4)
        found = late(1251 * (epoch + 1) + step)
        assert float(found) == pytest.approx(rate, rel=1e-4)
    assert float(late(0)) == pytest.approx(1e-6)


def test_epochs_end_where_quotients_of_floats_are_rounded():
    schedule = WarmupCosineEpochs(1.0, 30_011, 1000, end=0.0)
    last, first = (float(schedule(30_011 * 500 + i)) for i in (-1, 0))
    assert last == pytest.approx(cosine(499, 1000, 1.0), rel=1e-4)
    assert first == pytest.approx(0.5, rel=1e-4)


def test_configuration():
    schedule = WarmupCosineEpochs(1e-3, 3, 4, 1, 1e-5, 1e-4, 1)
    optimizer = keras.optimizers.AdamW(schedule)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for step in range(16):
        assert float(again._learning_rate(step)) == float(schedule(step))


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps_per_epoch": 0},
        {"epochs": 0},
        {"warmup_epochs": -1},
        {"delay": -1},
    ],
    ids=str,
)
def test_wrong_epochs(wrong):
    numbers = {"steps_per_epoch": 5, "epochs": 5, **wrong}
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=(0|-1)"):
        WarmupCosineEpochs(1e-3, **numbers)
