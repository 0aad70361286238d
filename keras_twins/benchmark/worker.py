"""One system in a process of its own: JSON lines in, JSON lines out.

A request is an object with `command` and the arguments of one of the methods
of `Session`; the answer is what the method returned, or `error`.
"""

import gc
import importlib
import json
import os
import pathlib
import sys
import time
import traceback
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TextIO

from keras_twins.benchmark.memory import peak_memory
from keras_twins.benchmark.memory import reset_peak
from keras_twins.benchmark.memory import resident_memory
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Step
from keras_twins.benchmark.task import Task

_WARM_UP = 2

Answer = dict[str, Any]


class Session:
    """What a worker keeps between two requests."""

    def __init__(self):
        self._program: Program | None = None
        self._steps: dict[int, Step] = {}

    def build(
        self,
        function: str,
        task: Mapping[str, Any],
        options: Mapping[str, Any],
        preload: Sequence[str] = (),
    ) -> Answer:
        """Builds the program.

        Args:
            function: `"module:function"` that takes a `Task` and the options
                and returns a `Program`.
            task: Fields of the `Task`.
            options: What else the function takes.
            preload: Modules to import first.

        Returns:
            `seconds`, `parameters`, `device`, and `base`: the memory before
            the model was built, in bytes.
        """
        for module in preload:
            importlib.import_module(module)
        builder = find_function(function)
        base = resident_memory()
        start = time.perf_counter()
        program = builder(Task(**task), **options)
        self._program = program
        return {
            "seconds": time.perf_counter() - start,
            "parameters": program.parameters,
            "device": program.device,
            "base": base if program.memory is None else 0,
        }

    def prepare(self, batch: int) -> Answer:
        """Compiles and warms up for a batch size.

        Args:
            batch: Number of images.

        Returns:
            `seconds` until the first step was done; and `peak`, the largest
            memory so far, in bytes.
        """
        program = self._built()
        start = time.perf_counter()
        step = self._steps[batch] = program.prepare(batch)
        program.wait(step())
        seconds = time.perf_counter() - start
        for _ in range(_WARM_UP):
            program.wait(step())
        return {"seconds": seconds, "peak": _peak()}

    def measure(self, batch: int, steps: int) -> Answer:
        """Runs one burst.

        Args:
            batch: Number of images, for which the worker was prepared.
            steps: Number of steps.

        Returns:
            `seconds` for one step; and `peak`, the largest memory, in bytes:
            of the process meanwhile, where the system can tell, or of the
            device so far.
        """
        program, step = self._built(), self._steps[batch]
        gc.collect()
        reset = reset_peak()
        seconds = _time(program, step, steps) / steps
        peak = program.memory() if program.memory else peak_memory(reset)
        return {"seconds": seconds, "peak": peak}

    def call(
        self,
        function: str,
        options: Mapping[str, Any],
        preload: Sequence[str] = (),
    ) -> Answer:
        """Calls a function.

        Args:
            function: `"module:function"`.
            options: Its arguments.
            preload: Modules to import first.

        Returns:
            `value`, what it returned.
        """
        for module in preload:
            importlib.import_module(module)
        return {"value": find_function(function)(**options)}

    def _built(self) -> Program:
        if self._program is None:
            raise ValueError("`build` must come first.")
        return self._program


def _peak() -> int:
    return peak_memory(pathlib.Path("/proc/self/status").exists())


def find_function(name: str) -> Callable[..., Any]:
    """Returns a function by its address.

    Args:
        name: `"module:function"`.

    Returns:
        The function.
    """
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _time(program: Program, step: Step, steps: int) -> float:
    start = time.perf_counter()
    result = None
    for _ in range(steps):
        result = step()
    program.wait(result)
    return time.perf_counter() - start


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answers requests until there are no more.

    Args:
        requests: Where they come from, a line each.
        answers: Where the answers go, a line each.
    """
    session = Session()
    for line in requests:
        request = json.loads(line)
        method = getattr(session, request.pop("command"))
        try:
            answer = method(**request)
        # Each library fails in its own way; the next request may do well.
        except Exception as error:
            traceback.print_exc()
            answer = {"error": last_line(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def last_line(error: BaseException) -> str:
    """Returns the type and the last line of the message of an error.

    Args:
        error: The error; if another one caused it, that is what counts.

    Returns:
        One line.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    message = next((line for line in reversed(lines) if line), "")
    return f"{type(error).__name__}: {message}" if message else repr(error)


def _main() -> None:
    # Libraries print; only answers may go to the standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    _main()
