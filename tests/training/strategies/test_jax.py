"""Meshes of JAX train as one device does."""

import os

import keras
import pytest

from keras_twins.training.strategies import distribution
from tests.training.strategies import processes

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="keras.distribution"
)


def environment(devices: int) -> dict[str, str]:
    """Returns the variables for a number of virtual devices."""
    flag = f"--xla_force_host_platform_device_count={devices}"
    return {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flag}"}


@pytest.fixture(scope="module")
def expected() -> processes.Results:
    return processes.one_device()


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"strategy": "data_parallel"}, marks=pytest.mark.slow),
        {"strategy": "model_parallel", "model_devices": 2},
        pytest.param({"strategy": "model_parallel"}, marks=pytest.mark.slow),
    ],
    ids=["data", "model", "model-8"],
)
def test_eight_devices(given, expected, tmp_path):
    results = processes.run_workers(tmp_path, [given], [environment(8)])
    processes.check_same(results, expected)


@pytest.mark.parametrize(
    "given",
    [
        {"strategy": "data_parallel"},
        pytest.param(
            {"strategy": "model_parallel", "model_devices": 2},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["data", "model"],
)
def test_two_processes(given, expected, tmp_path):
    (port,) = processes.free_ports(1)
    group = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
        "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        **environment(2),
    }
    environments = [
        {**group, "KERAS_DISTRIBUTION_PROCESS_ID": str(index)}
        for index in (0, 1)
    ]
    results = processes.run_workers(tmp_path, [given] * 2, environments)
    processes.check_same(results, expected)


def test_devices_that_cannot_be_grouped():
    with pytest.raises(ValueError, match="`model_devices` must divide"):
        distribution("model_parallel", devices=1, model_devices=2)
