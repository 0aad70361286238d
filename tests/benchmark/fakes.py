"""Systems that compute nothing, as workers find them: by their address."""

import os
import pathlib
import sys
import time

from keras_twins.benchmark import System
from keras_twins.benchmark.system import Writer
from keras_twins.benchmark.task import Program

_HERE = "tests.benchmark.fakes"


def system(name: str, function: str = "sleeper", **fields) -> System:
    return System(
        **{
            "name": name,
            "label": name.title(),
            "group": "keras",
            "function": f"{_HERE}:{function}",
            # Nothing to wait for while it is imported.
            "environment": {"KERAS_BACKEND": "numpy"},
            **fields,
        }
    )


def writer(function: str) -> Writer:
    return Writer(
        name=function,
        function=f"{_HERE}:{function}",
        environment={"KERAS_BACKEND": "numpy"},
        options={"text": "written"},
    )


def sleeper(task, seconds: float = 0.001) -> Program:
    print("what libraries print goes to no answer")
    return Program(
        prepare=lambda batch: lambda: time.sleep(batch * seconds),
        wait=lambda _: None,
        parameters=task.size,
        device=task.dtype,
    )


def unimportable(task) -> Program:
    try:
        raise RuntimeError("first line\noperator nms does not exist\n")
    except RuntimeError as error:
        raise ImportError("timm cannot be imported") from error


def crasher(task) -> Program:
    def crash():
        print("no more memory", file=sys.stderr)
        sys.stderr.flush()
        os._exit(7)

    return Program(prepare=lambda batch: crash, wait=lambda _: None)


def reader(task) -> Program:
    texts = {k: pathlib.Path(v).read_text() for k, v in task.artifacts.items()}
    return Program(
        prepare=lambda batch: lambda: texts[str(batch)],
        wait=lambda text: text,
        device=", ".join(texts.values()),
    )


def write(task: dict, batches: list, folder: str, text: str) -> dict:
    paths = {str(batch): f"{folder}/{batch}.txt" for batch in batches}
    for batch, path in paths.items():
        pathlib.Path(path).write_text(f"{text} {task['variant']} {batch}")
    return paths


def refuse(task: dict, batches: list, folder: str, text: str) -> dict:
    raise ValueError(f"nothing is {text}")
