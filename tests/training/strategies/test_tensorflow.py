"""Strategies of `tf.distribute` train as one device does."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_twins.training.strategies import distribution
from tests.training.strategies import processes
from tests.training.strategies import replica_steps

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute"
)


@pytest.fixture(scope="module")
def expected() -> processes.Results:
    return processes.one_device()


def test_mirrored(expected, tmp_path):
    given = {"strategy": "mirrored", "cpus": 2}
    results = processes.run_workers(tmp_path, [given], [{}])
    processes.check_same(results, expected)


def test_multi_worker(expected, tmp_path):
    addresses = [f"127.0.0.1:{port}" for port in processes.free_ports(2)]
    environments = [
        {
            "TF_CONFIG": json.dumps(
                {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": index},
                }
            )
        }
        for index in (0, 1)
    ]
    given = {"strategy": "multi_worker"}
    results = processes.run_workers(tmp_path, [given] * 2, environments)
    processes.check_same(results, expected)


@pytest.fixture(scope="module")
def replicas(tmp_path_factory) -> processes.Results:
    """What one device and two replicas find."""
    path = tmp_path_factory.mktemp("replicas") / "found.npz"
    subprocess.run(
        [sys.executable, "-m", replica_steps.__name__, str(path)],
        cwd=processes.ROOT,
        check=True,
    )
    return dict(np.load(path))


@pytest.mark.parametrize("name", replica_steps.OPTIMIZERS)
def test_optimizers_see_the_gradients_of_all_replicas(replicas, name):
    one, two = replicas[f"{name} on 1"], replicas[f"{name} on 2"]
    # float16 rounds the parts of a batch apart.
    tolerance = 1e-3 if name == "float16" else 1e-5
    np.testing.assert_allclose(two, one, rtol=tolerance, atol=tolerance)


def test_replicas_draw_numbers_of_their_own(replicas):
    (alone, *seed), (apart, *seed_of_two) = (
        replicas[f"draw on {count}"] for count in (1, 2)
    )
    assert abs(alone) < 1e-6
    assert apart > 1e-4
    assert seed == seed_of_two


def test_tpu_without_a_tpu_says_so(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(ValueError, match="found no TPU"):
        distribution("tpu")


def test_compiled_by_xla_is_refused():
    spread = distribution("mirrored", devices=1)
    with spread.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=True)
    with pytest.raises(ValueError, match="jit_compile=False"):
        spread.prepare(model)
