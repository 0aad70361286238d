"""Whole trainings in two processes, by the command that people use."""

import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_twins.data import load_digits
from keras_twins.data import write_image_folder
from tests.compiling import slow_on

for package in ("tensorflow", "matplotlib", "sklearn"):
    pytest.importorskip(package)

_SECONDS = 600


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environments(backend: str) -> list[dict[str, str]]:
    """What tells each of two processes which one it is."""
    hosts = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    common = {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    found = []
    for index in range(2):
        own = {
            "jax": {
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": hosts[0],
                "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
                "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
            },
            "tensorflow": {
                "TF_CONFIG": json.dumps(
                    {
                        "cluster": {"worker": hosts},
                        "task": {"type": "worker", "index": index},
                    }
                )
            },
            "torch": {
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": hosts[0].partition(":")[2],
                "WORLD_SIZE": "2",
                "RANK": str(index),
                "LOCAL_RANK": str(index),
            },
        }[backend]
        found.append({**os.environ, **common, **own})
    return found


@slow_on("jax")
@slow_on("tensorflow")
def test_two_processes_train_one_model(tmp_path):
    """Both end well; one of them has written a model that can be read."""
    data = tmp_path / "data"
    (training, held_out) = load_digits(32)
    for split, (images, labels), count in (
        ("train", training, 16),
        ("val", held_out, 7),
    ):
        chosen = np.flatnonzero(labels < 2)[:count]
        write_image_folder(
            data, split, images[chosen], labels[chosen], ("0", "1")
        )
    out = tmp_path / "out"
    command = [sys.executable, "-m", "keras_twins", "train"]
    command += ["--recipe", "digits/svt_tiny", "--data", str(data)]
    command += ["--out", str(out), "--set", "epochs=1", "batch_size=8"]
    command += ["variant.depths=1,1,1,1", "ema_momentum=0.5"]
    command += ["variant.attention_pattern=L,G,L,G"]
    started = [
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in environments(keras.backend.backend())
    ]
    said = [process.communicate(timeout=_SECONDS)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    run = json.loads((out / "run.json").read_text())
    assert run["configuration"]["distribution"]["processes"] == 2
    assert json.loads((out / "scores.json").read_text())["images"] == 7
    model = keras.saving.load_model(out / "model.keras", compile=False)
    assert np.isfinite(model.predict(np.zeros((1, 32, 32, 3)), verbose=0)).all()
