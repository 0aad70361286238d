import keras
import pytest

from keras_twins.benchmark.scaling_torch import Scaling
from keras_twins.benchmark.scaling_torch import measure_scaling


def test_efficiency_and_share_of_messages():
    found = Scaling(alone=[2, 3, 9], apart=[4, 4, 4], together=[5, 5, 5])
    assert found.efficiency == 0.6
    assert found.share_of_messages == pytest.approx(0.2)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="torch.distributed"
)
def test_two_processes_take_turns():
    found = measure_scaling(2, size=32, batch=2, steps=1, rounds=2)
    times = (found.alone, found.apart, found.together)
    assert [len(seconds) for seconds in times] == [2, 2, 2]
    assert min(min(seconds) for seconds in times) > 0
