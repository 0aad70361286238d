"""What the loop of a resumable training adds to its steps."""

import dataclasses
import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras

from keras_twins.applications import classifier
from keras_twins.benchmark.inputs import random_images
from keras_twins.benchmark.inputs import random_labels
from keras_twins.benchmark.keras_models import build_twins
from keras_twins.benchmark.keras_steps import adamw
from keras_twins.benchmark.machine import describe_machine
from keras_twins.benchmark.machine import describe_versions
from keras_twins.benchmark.process import Worker
from keras_twins.benchmark.report import BenchmarkReport
from keras_twins.benchmark.report import Measurement
from keras_twins.benchmark.run import installed_backends
from keras_twins.benchmark.task import CLASSES
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Step
from keras_twins.benchmark.task import Task
from keras_twins.benchmark.worker import find_function
from keras_twins.config import TwinsConfig

if TYPE_CHECKING:
    import tensorflow as tf

FIT = "keras_twins.training.run:fit_resumable"
"""Address of the loop that is measured."""

_WARM_UP = 3

_CONFIG = TwinsConfig(
    embed_dims=(32, 64, 96, 128),
    depths=(2, 2, 2, 2),
    num_heads=(1, 2, 3, 4),
    mlp_ratios=(2, 2, 2, 2),
    attention_pattern=("LG", "LG", "LG", "LG"),
    window_sizes=(4, 4, 4, 4),
)
"""Small, so that its checkpoints are, with steps that take long enough."""

_TIMES = 3
"""How much longer the long epochs are than the short ones."""

Epochs = Mapping[str, Sequence[float]]
"""Seconds: `"loop"`, of each epoch; `"bare"`, of a bare step before the first
epoch and after each."""


def run_loop(
    backends: Sequence[str] | None = None,
    rounds: int = 4,
    steps: int = 30,
    *,
    size: int = 64,
    batch: int = 16,
    fit: str = FIT,
    target: float | None = None,
    progress: Callable[[str], object] = print,
) -> BenchmarkReport:
    """Measures training steps in the loop beside calls of the train function.

    Each backend has a fresh process, in which epochs of the loop, with
    checkpoints, logs and progress as they are by default, take turns with
    calls of the compiled train function on a batch that lies on the device.
    The first epoch, in which it compiles, does not count. Epochs of two
    lengths tell what a step costs from what the end of an epoch does.

    Args:
        backends: Keras backends; by default, those that are installed.
        rounds: Number of epochs of each length that count.
        steps: Steps of a short epoch, and of the bare steps after any; a long
            one has three times as many.
        size: Side of the images in pixels.
        batch: Images of a step.
        fit: Address of the loop, `"module:function"`, which takes the
            arguments of `fit_resumable`.
        target: What the overhead of a step should be below, in percent.
        progress: Gets a line for every backend.

    Returns:
        A `BenchmarkReport`.

    Raises:
        ValueError: If `rounds` or `steps` is not positive.
        WorkerError: If a process fails.
    """
    if min(rounds, steps) < 1:
        raise ValueError(
            f"`rounds` and `steps` must be at least 1. Received: {rounds=}, "
            f"{steps=}"
        )
    backends = installed_backends() if backends is None else tuple(backends)
    task = _task(size)
    rows: list[Measurement] = []
    for backend in backends:
        with Worker({"KERAS_BACKEND": backend}) as worker:
            answer = worker.ask(
                "call",
                function=f"{__name__}:measure_loop",
                options={
                    "fit": fit,
                    "task": dataclasses.asdict(task),
                    "batch": batch,
                    "steps": steps,
                    "rounds": rounds,
                },
            )
        found = measurements(backend, steps, answer["value"], target)
        rows += found
        progress(f"{backend}: overhead {found[2].value:.2f} %")
    return BenchmarkReport(
        rows=tuple(sorted(rows, key=lambda row: row.name)),
        machine=describe_machine(),
        versions=describe_versions(backends),
        notes=(_note(task, batch, steps),),
    )


def measure_loop(
    fit: str, task: Mapping[str, Any], batch: int, steps: int, rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Runs the loop, and bare steps between its epochs, in this process.

    Args:
        fit: Address of the loop.
        task: Fields of a `Task` that trains.
        batch: Images of a step.
        steps: Steps of a short epoch.
        rounds: Number of epochs of each length that count.

    Returns:
        `Epochs`, `"short"` and `"long"` ones.
    """
    what = Task(**task)
    program = build_twins(what)
    step = program.prepare(batch)
    lengths = {"short": steps, "long": _TIMES * steps}
    found = {}
    for name, length in lengths.items():
        turns = _Turns(program, step, steps)
        with tempfile.TemporaryDirectory() as folder:
            find_function(fit)(
                _model(what),
                lambda start: _batches(what, batch),
                epochs=rounds + 1,
                steps_per_epoch=length,
                folder=folder,
                images_per_step=batch,
                validate=turns.validate,
            )
        found[name] = {"bare": turns.bare, "loop": turns.loop}
    return found


def measurements(
    backend: str,
    steps: int,
    seconds: Mapping[str, Epochs],
    target: float | None = None,
) -> list[Measurement]:
    """Returns what was measured on a backend.

    Args:
        backend: The Keras backend.
        steps: Steps of a short epoch.
        seconds: What `measure_loop` returned.
        target: What the overhead of a step should be below, in percent.

    Returns:
        The bare step and that of the loop in milliseconds, the overhead of
        the latter in percent, and the end of an epoch in seconds.
    """
    bare = [*seconds["short"]["bare"], *seconds["long"]["bare"]]
    unit = statistics.median(bare)
    pairs = list(zip(*map(_in_bare_steps, seconds.values()), strict=True))
    more = (_TIMES - 1) * steps
    slopes = [(long - short) / more for short, long in pairs]
    ends = [
        short - steps * slope
        for (short, _), slope in zip(pairs, slopes, strict=True)
    ]
    rows = (
        ("1. bare train step", "ms", [1e3 * x for x in bare], None),
        ("2. step in the loop", "ms", [1e3 * unit * x for x in slopes], None),
        ("3. overhead of it", "%", [100 * (x - 1) for x in slopes], target),
        ("4. end of an epoch", "s", [unit * x for x in ends], None),
    )
    return [
        Measurement(
            name=name, backend=backend, unit=unit, runs=tuple(runs), target=most
        )
        for name, unit, runs, most in rows
    ]


def _in_bare_steps(epochs: Epochs) -> list[float]:
    """Returns how many bare steps around it would take as long as an epoch."""
    # What slows the machine down meets both sides of an epoch.
    around = map(statistics.mean, itertools.pairwise(epochs["bare"]))
    return [x / y for x, y in zip(epochs["loop"], around, strict=True)]


class _Turns:
    """Called at the end of each epoch, has the bare steps take their turn."""

    def __init__(self, program: Program, step: Step, steps: int):
        self._program = program
        self._step = step
        self._steps = steps
        self._end: float | None = None
        self.bare: list[float] = []
        self.loop: list[float] = []
        self._run(_WARM_UP)

    def validate(self, model: keras.Model) -> dict[str, float]:
        """Ends an epoch of the loop; returns a score that never gets better."""
        if self._end is not None:
            self.loop.append(time.perf_counter() - self._end)
        gc.collect()
        self.bare.append(self._run(self._steps))
        self._end = time.perf_counter()
        return {"val_top1": 0.0}

    def _run(self, steps: int) -> float:
        """Returns the seconds of a step."""
        start = time.perf_counter()
        result = None
        for _ in range(steps):
            result = self._step()
        self._program.wait(result)
        return (time.perf_counter() - start) / steps


def _task(size: int) -> Task:
    return Task(
        variant="small", config=_CONFIG.to_dict(), size=size, training=True
    )


def _model(task: Task) -> keras.Model:
    """Returns a model of its own, compiled as that of the bare steps."""
    model = classifier(
        task.architecture(),
        input_shape=task.image_shape(),
        classes=CLASSES,
        classifier_activation=None,
        include_preprocessing=False,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(adamw(), loss)
    return model


def _batches(task: Task, batch: int) -> "tf.data.Dataset":
    import tensorflow as tf

    pair = (random_images(task, batch), random_labels(batch))
    return tf.data.Dataset.from_tensors(pair).repeat()


def _note(task: Task, batch: int, steps: int) -> str:
    return (
        f"A Twins-SVT of {CLASSES} classes on {batch} images of {task.size} x "
        f"{task.size}, float32. Epochs of {steps} and {_TIMES * steps} steps, "
        "over the bare steps before and after each: their difference is that "
        "of the steps, and the rest is the end of an epoch, with its "
        "checkpoints, logs and curves."
    )
