"""The parts of `bench` that measure training: its loop, and more devices."""

import argparse
from typing import TYPE_CHECKING

from keras_twins.cli.arguments import positive

if TYPE_CHECKING:
    from keras_twins.benchmark.results import Part

_TARGET = 5.0
"""What the loop may add to a step, in percent."""

_SIZE, _BATCH = 128, 16
"""Of the images whose steps are measured: short ones tell less."""


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Adds what `bench scaling` takes.

    Args:
        sub: The parser of `bench`.
    """
    group = sub.add_argument_group("of the part scaling")
    group.add_argument(
        "--devices",
        nargs="+",
        type=positive,
        default=[1, 2],
        help="numbers of devices (default 1 2)",
    )


def measure_loop(arguments: argparse.Namespace) -> "Part":
    """Measures what the loop of a training adds to its steps.

    Args:
        arguments: `backends`, `rounds`, `sizes`, `batch` and `short`.

    Returns:
        A part of a benchmark.
    """
    from keras_twins.benchmark.loop import run_loop
    from keras_twins.benchmark.results import Part

    report = run_loop(
        arguments.backends,
        arguments.rounds or (3 if arguments.short else 6),
        size=(arguments.sizes or [_SIZE])[0],
        batch=(arguments.batch or [_BATCH])[0],
        target=_TARGET,
    )
    return Part(report.to_dict(), report.table())


def measure_scaling(arguments: argparse.Namespace) -> "Part":
    """Measures training on growing numbers of devices.

    Args:
        arguments: `backends`, `devices`, `variants`, `batch`, `sizes` and
            `rounds`.

    Returns:
        A part of a benchmark.
    """
    from keras_twins.benchmark.results import Part
    from keras_twins.benchmark.run import installed_backends
    from keras_twins.benchmark.scaling import run_scaling

    reports = [
        run_scaling(
            arguments.devices,
            (arguments.variants or ["svt_small"])[0],
            (arguments.sizes or [224])[0],
            (arguments.batch or [8])[0],
            rounds=arguments.rounds or 3,
            backend=backend,
        )
        for backend in arguments.backends or installed_backends()
    ]
    content = {report.backend: report.to_dict() for report in reports}
    return Part(content, "\n\n".join(report.table() for report in reports))
