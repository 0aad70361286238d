"""Workers in processes of their own, and what they must have found."""

import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twins.training.strategies import SingleDevice
from tests.training.strategies import worker
from tests.training.strategies import workload

ROOT = pathlib.Path(__file__).parents[3]

Results = Mapping[str, np.ndarray]


def one_device() -> Results:
    """Returns what one device finds, in this process."""
    return workload.run(SingleDevice())


def run_workers(
    folder: pathlib.Path,
    arguments: Sequence[Mapping[str, Any]],
    environments: Sequence[Mapping[str, str]],
) -> list[Results]:
    """Returns what each of several workers finds, which run at once."""
    workers = []
    for i, (given, environment) in enumerate(
        zip(arguments, environments, strict=True)
    ):
        command = [sys.executable, "-m", worker.__name__]
        with (folder / f"{i}.log").open("w") as log:
            workers.append(
                subprocess.Popen(
                    [*command, str(folder / f"{i}.npz"), json.dumps(given)],
                    cwd=ROOT,
                    env={**os.environ, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    try:
        codes = [process.wait(timeout=400) for process in workers]
    finally:
        for process in workers:
            process.kill()
    logs = [(folder / f"{i}.log").read_text() for i in range(len(workers))]
    assert not any(codes), "\n\n".join(log[-3000:] for log in logs)
    return [dict(np.load(folder / f"{i}.npz")) for i in range(len(workers))]


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for bound in sockets:
        bound.bind(("127.0.0.1", 0))
    ports = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


def check_same(
    results: Sequence[Results], expected: Results, tolerance: float = 1e-5
) -> None:
    """Checks that all processes found what one device does.

    Args:
        results: What each process found.
        expected: What one device found.
        tolerance: Relative for losses; absolute for weights of size 1 and for
            their moments, as gradients of norm 0.1 and their squares.
    """
    assert expected["losses"][0] > expected["losses"][-1]
    for found in results:
        for name in ("losses", "accuracies"):
            np.testing.assert_allclose(
                found[name], expected[name], rtol=tolerance, err_msg=name
            )
        for name in ("variables", "slots", "restored"):
            np.testing.assert_allclose(
                found[name],
                expected[name],
                rtol=tolerance,
                atol=tolerance,
                err_msg=name,
            )
        np.testing.assert_array_equal(found["restored"], 2 * found["variables"])
    # Process i predicted rows i, i + n, ...
    scores = np.stack([found["scores"] for found in results], axis=1)
    scores = scores.reshape(-1, scores.shape[-1])[: workload.ROWS]
    np.testing.assert_allclose(
        scores, expected["scores"][: workload.ROWS], atol=tolerance
    )
    _check_sums(results)


def _check_sums(results: Sequence[Results]) -> None:
    count = len(results)
    total = count * 2**40 + sum(range(count))
    for found in results:
        np.testing.assert_array_equal(found["sums"][:2], [total, count])
        np.testing.assert_allclose(found["sums"][2], 0.1 * count, rtol=1e-15)
