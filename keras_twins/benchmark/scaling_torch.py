"""What the data-parallel training step on PyTorch costs beside one process.

`python -m keras_twins.benchmark.scaling_torch --processes 2` prints it.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras

from keras_twins.applications import classifier
from keras_twins.benchmark.inputs import random_images
from keras_twins.benchmark.inputs import random_labels
from keras_twins.benchmark.keras_steps import adamw
from keras_twins.benchmark.task import CLASSES
from keras_twins.benchmark.task import Task
from keras_twins.benchmark.worker import find_function
from keras_twins.config import variant_config

_MODULE = "keras_twins.benchmark.scaling_torch"
_PROCESSES = "keras_twins.training.strategies.torch_processes:TorchProcesses"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scaling:
    """Seconds of a step in each round; each process has a batch of its own.

    Args:
        alone: One process trains, the others wait.
        apart: All train at once, each a model of its own: what they lose to
            each other's use of memory and cores.
        together: All train one model, by averages of gradients.
    """

    alone: list[float]
    apart: list[float]
    together: list[float]

    @property
    def efficiency(self) -> float:
        """Share of the images per second that n processes alone would have."""
        return _middle(self.alone) / _middle(self.together)

    @property
    def share_of_messages(self) -> float:
        """Share of the step that the processes need to meet."""
        return 1 - _middle(self.apart) / _middle(self.together)


def measure_scaling(
    processes: int = 2,
    *,
    variant: str = "svt_small",
    size: int = 224,
    batch: int = 8,
    steps: int = 5,
    rounds: int = 5,
) -> Scaling:
    """Measures training steps of one thread for each process, on this host.

    Args:
        processes: How many there are.
        variant: A key of `keras_twins.VARIANTS`.
        size: Side of the images in pixels.
        batch: Images of a step, of each process.
        steps: Steps of a round.
        rounds: Number of rounds, in each of which the three take turns.

    Returns:
        Seconds of a step.

    Raises:
        RuntimeError: If a process fails.
    """
    numbers = (("size", size), ("batch", batch), ("steps", steps))
    options = [f"--{name}={value}" for name, value in numbers]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *(f"--nproc-per-node={processes}", "-m", _MODULE),
            *(*options, f"--variant={variant}", f"--rounds={rounds}"),
        ],
        env={**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"A process failed: {done.stderr[-2000:]}")
    return Scaling(**json.loads(done.stdout.splitlines()[-1]))


def _measure(options: argparse.Namespace) -> None:
    """Measures in one of the processes that `torchrun` started."""
    distribution = find_function(_PROCESSES)()
    task = Task(
        variant=options.variant,
        config=variant_config(options.variant).to_dict(),
        size=options.size,
        training=True,
    )
    data = [(random_images(task, options.batch), random_labels(options.batch))]
    apart, together = _model(task), _model(task)
    distribution.prepare(together)
    own = _timer(apart, data, options.steps)
    shared = _timer(together, data, options.steps)
    own()
    shared()
    seconds: dict[str, list[float]] = {"alone": [], "apart": [], "together": []}
    for _ in range(options.rounds):
        distribution.barrier()
        if distribution.is_chief:
            seconds["alone"].append(own())
        for name, step in (("apart", own), ("together", shared)):
            distribution.barrier()
            seconds[name].append(step())
    if distribution.is_chief:
        print(json.dumps(seconds), flush=True)
    distribution.close()


def _model(task: Task) -> keras.Model:
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


def _timer(
    model: keras.Model, data: list[Any], steps: int
) -> Callable[[], float]:
    """Returns a function that makes steps and returns the seconds of one."""
    model.make_train_function()

    def run() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            # As a number, it waits for the device.
            float(model.train_function(data)["loss"])
        return (time.perf_counter() - start) / steps

    return run


def _middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def main() -> None:
    """Measures, or is one of the processes that do."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--variant", default="svt_small")
    for name, value in (("size", 224), ("batch", 8), ("steps", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if "LOCAL_RANK" in os.environ:
        _measure(options)
        return
    found = measure_scaling(**vars(options))
    print(
        f"{options.processes} processes: efficiency {found.efficiency:.2f}, "
        f"of which messages {found.share_of_messages:.2f}; seconds of a step "
        f"alone {_middle(found.alone):.2f}, apart {_middle(found.apart):.2f}, "
        f"together {_middle(found.together):.2f}"
    )


if __name__ == "__main__":
    main()
