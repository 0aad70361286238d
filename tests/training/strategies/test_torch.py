"""Two processes, started by `torchrun`, train as one does."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_twins.training.strategies import torch_processes
from keras_twins.training.strategies.base import SingleDevice
from keras_twins.training.strategies.torch_processes import TorchProcesses
from tests.training.strategies import torch_worker

is_torch = keras.backend.backend() == "torch"
on_torch = pytest.mark.skipif(not is_torch, reason="torch.distributed")
ROOT = pathlib.Path(__file__).parents[3]


def launch(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node=2", "-m", torch_worker.__name__, *arguments),
        ],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> list[dict]:
    """Results of both processes."""
    folder = tmp_path_factory.mktemp("processes")
    done = launch(str(folder))
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads((folder / f"{i}.json").read_text()) for i in (0, 1)]


@on_torch
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("name", ["plain", "unused"])
def test_two_processes_train_as_one(processes, name):
    """With a frozen part, batch normalization, AdamW and clipping."""
    first, second = (process[name] for process in processes)
    assert first == second
    expected = torch_worker.train(SingleDevice(), has_unused=name == "unused")
    assert expected["losses"][0] > expected["losses"][-1]
    for key in ("losses", "fit", "evaluate"):
        np.testing.assert_allclose(first[key], expected[key], rtol=1e-5)
    for found, weight in zip(
        first["weights"], expected["weights"], strict=True
    ):
        np.testing.assert_allclose(found, weight, rtol=1e-4, atol=1e-5)


@on_torch
def test_a_resumed_training_goes_on_exactly(processes):
    """With stochastic depth, which draws other numbers in each process."""
    first, second = (process["resume"] for process in processes)
    assert first["whole"] == first["resumed"]
    assert first == second


@on_torch
def test_each_process_draws_numbers_of_its_own(processes):
    first, second = (process["oddities"]["drawn"] for process in processes)
    assert len({*first, *second}) == len(first + second) == 4
    # The first process draws what one process would.
    generator = keras.random.SeedGenerator(3)
    expected = [float(keras.random.uniform((), seed=generator))]
    assert first[:1] == expected


@on_torch
def test_what_one_process_alone_uses_is_trained_in_all(processes):
    first, second = (process["oddities"]["special"] for process in processes)
    assert first == second


@on_torch
def test_all_processes_leave_out_a_step_where_one_overflows(processes):
    first, second = (process["oddities"]["overflow"] for process in processes)
    assert first == second
    # Halved once: the other step was fine.
    assert first[-1] == 2.0
    assert np.isfinite(first[0]).all()


@on_torch
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cut", "rows of one, must be the same in all processes"),
        ("longer", "number of batches"),
        ("uneven", "rows of a batch must be the same in all processes"),
        ("rest", "2 rows after batches of 4"),
        ("shapes", "shapes of the variables must be the same"),
        ("bare", "must hand its loss to `optimizer.scale_loss`"),
    ],
)
def test_what_processes_cannot_share_is_refused(processes, name, message):
    for process in processes:
        assert message in process["oddities"][name]
        assert not process["oddities"]["fits"]


@on_torch
def test_sums_over_processes(processes):
    for index, process in enumerate(processes):
        assert process["oddities"]["sums"] == [[1, 10], 6.0]
        assert process["oddities"]["shard"] == [2, index, 2]


@on_torch
@pytest.mark.slow
def test_a_process_that_does_not_come_is_an_error_in_the_others():
    done = launch()
    assert done.returncode != 0
    assert "timed out" in done.stderr.lower()


@on_torch
def test_torchrun_must_have_started_the_process(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match="`torchrun` starts.*RANK"):
        TorchProcesses()


@on_torch
def test_each_process_of_a_host_has_a_gpu_of_its_own(monkeypatch):
    import torch

    current = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert torch_processes._gpu(1, {}) == torch.device("cuda:1")
    assert torch_processes._gpu(5, {"KERAS_TORCH_DEVICE": "cpu"}) is None
    assert current == [1]
    with pytest.raises(ValueError, match="--nproc-per-node 2.*LOCAL_RANK=2"):
        torch_processes._gpu(2, {})


@pytest.mark.skipif(is_torch, reason="it is there")
def test_other_backends_have_no_torch_processes():
    with pytest.raises(ValueError, match="KERAS_BACKEND=torch"):
        TorchProcesses()
