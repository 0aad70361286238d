"""Workers as the benchmark sees them: processes that answer."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

import keras_twins

_ROOT = pathlib.Path(keras_twins.__file__).parents[1]
_TAIL = 2000


class WorkerError(RuntimeError):
    """A worker that could not do what it was asked, or is gone."""


class Worker:
    """A process that answers requests.

    Args:
        environment: Environment variables beyond those of this process.
        limit: Seconds after which a request has failed, and the process is
            ended.
    """

    def __init__(self, environment: Mapping[str, str], limit: float = 1200.0):
        self._limit = limit
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - see stop
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "keras_twins.benchmark.worker"],
            env=worker_environment(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def send(self, command: str, **arguments: Any) -> None:
        """Sends a request; `receive` gets the answer.

        Args:
            command: A method of `keras_twins.benchmark.worker.Session`.
            **arguments: Its arguments.

        Raises:
            WorkerError: If the process is gone.
        """
        pipe: Any = self._process.stdin
        try:
            pipe.write(json.dumps({"command": command, **arguments}) + "\n")
            pipe.flush()
        except BrokenPipeError as error:
            raise WorkerError(self._reason()) from error

    def receive(self) -> dict[str, Any]:
        """Waits for the answer to the oldest request that has none.

        Returns:
            What the method returned.

        Raises:
            WorkerError: If the request failed, took too long or ended the
                process.
        """
        pipe: Any = self._process.stdout
        timer = threading.Timer(self._limit, self._process.kill)
        timer.start()
        try:
            line = pipe.readline()
        finally:
            timer.cancel()
        if not line:
            raise WorkerError(self._reason())
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Sends a request and returns the answer.

        Args:
            command: A method of `keras_twins.benchmark.worker.Session`.
            **arguments: Its arguments.

        Returns:
            What the method returned.
        """
        self.send(command, **arguments)
        return self.receive()

    def stop(self) -> None:
        """Ends the process."""
        # Workers keep nothing that is worth a farewell.
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            # What was never read cannot be flushed.
            with contextlib.suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _reason(self) -> str:
        code = self._process.wait()
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _TAIL))
        lines = self._log.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        last = said[-1] if said else "it said nothing"
        return f"the process ended with exit code {code}: {last}"


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of a worker.

    Args:
        environment: What the system asks for.

    Returns:
        That, and the environment of this process, in which this package is
        found first.
    """
    search = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Workers share an accelerator: none may take all its memory.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        **environment,
        "PYTHONPATH": os.pathsep.join(filter(None, search)),
    }
