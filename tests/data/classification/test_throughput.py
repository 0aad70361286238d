import types

import pytest

from keras_twins.data.classification import throughput
from keras_twins.data.classification.throughput import measure_loading


@pytest.fixture
def clock(monkeypatch):
    """A time that passes only when it is told to."""
    now = types.SimpleNamespace(seconds=100.0)
    fake = types.SimpleNamespace(perf_counter=lambda: now.seconds)
    monkeypatch.setattr(throughput, "time", fake)
    return now


def batches(clock, wait, count=1000):
    for number in range(count):
        # The first one takes long: that does not count.
        clock.seconds += wait if number else 50
        yield number


def test_the_loader_alone(clock):
    speed = measure_loading(batches(clock, 0.5), batch_size=8, seconds=10)
    assert speed.images == 20 * 8
    assert speed.images_per_second == pytest.approx(16)
    assert speed.waiting_share == pytest.approx(1)
    assert speed.step_seconds is None


def test_a_model_that_waits(clock):
    taken = []

    def step(batch):
        taken.append(batch)
        clock.seconds += 1.5

    speed = measure_loading(batches(clock, 0.5), 8, 10, step)
    assert speed.images_per_second == pytest.approx(4)
    assert speed.waiting_share == pytest.approx(0.25)
    assert speed.step_seconds == pytest.approx(7.5)
    # Those of the warm-up go through the model, too.
    assert taken == list(range(7))
    assert speed.to_dict()["waiting_share"] == speed.waiting_share


def test_streams_that_end(clock):
    speed = measure_loading(batches(clock, 0.5, 5), batch_size=8, seconds=10)
    assert (speed.images, speed.seconds) == (24, pytest.approx(1.5))
    with pytest.raises(ValueError, match="2 of the warm-up"):
        measure_loading(batches(clock, 0.5, 2), batch_size=8)
    with pytest.raises(ValueError, match="seconds=0"):
        measure_loading([], 8, 0)
