"""The command that measures: its arguments, its parts, its files."""

import argparse
import functools
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_twins.cli import data_benchmark
from keras_twins.cli import training_benchmarks
from keras_twins.cli.arguments import positive

_FOLDER = pathlib.Path("results") / "bench"
_DTYPES = ("float32", "bfloat16")


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `bench`.

    Args:
        commands: The commands so far.
    """
    sub = commands.add_parser(
        "bench",
        help="measure speed, memory and start-up, ours beside peers",
        description="Measures in fresh processes that take turns. Peers that "
        "cannot be imported are named in the report.",
    )
    sub.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help="import (import, building, loading), speed, scale (cost against "
        "resolution), segmentation, detection; by default all these. Or data "
        "(how fast a data set is read), loop (what the loop of a training "
        "costs), scaling (training on several devices)",
    )
    _add_options(sub)
    data_benchmark.add_arguments(sub)
    training_benchmarks.add_arguments(sub)
    sub.set_defaults(run=bench)


def _add_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--short", action="store_true", help="fewer of all")
    sub.add_argument("--rounds", type=positive, help="of speed and scale")
    sub.add_argument("--systems", nargs="+", help="names, or names of groups")
    sub.add_argument(
        "--variants", nargs="+", help="names, or JSON files of a TwinsConfig"
    )
    sub.add_argument("--batch", nargs="+", type=positive)
    sub.add_argument("--sizes", nargs="+", type=positive, help="in pixels")
    sub.add_argument("--dtypes", nargs="+", choices=_DTYPES)
    sub.add_argument(
        "--training",
        nargs="*",
        choices=_DTYPES,
        help="dtypes of the training steps, of the largest batch; none for "
        "no training",
    )
    sub.add_argument(
        "--preload",
        nargs="+",
        default=[],
        metavar="MODULE",
        help="what the processes of peers import first, found on PYTHONPATH",
    )
    sub.add_argument(
        "--at-once",
        type=positive,
        metavar="N",
        help="most processes that live at once; by default, what fits into "
        "memory (that of accelerators is not looked at)",
    )
    sub.add_argument("--repeats", type=positive, help="of import")
    sub.add_argument(
        "--backends", nargs="+", help="of import, loop and scaling"
    )
    sub.add_argument("--out", type=pathlib.Path, default=_FOLDER)


def bench(arguments: argparse.Namespace) -> int:
    """Measures, prints the tables and writes the files.

    Args:
        arguments: What `add_command` adds.

    Returns:
        Exit code: 0 even where a target is missed; a slow machine is no
        error.
    """
    from keras_twins.benchmark.results import write_results

    chosen = arguments.parts or list(_PARTS)
    parts = {**_PARTS, **_PARTS_ON_DEMAND}
    unknown = set(chosen) - set(parts)
    if unknown:
        raise ValueError(
            f"Parts of `bench` are {list(parts)}. Received: "
            f"{' '.join(arguments.parts)}"
        )
    _check_systems(chosen, arguments.systems)
    markdown = ""
    for name in chosen:
        part = parts[name](arguments)
        # After each part: an interruption loses one only.
        markdown = write_results(arguments.out, {name: part})
    print(f"\n{markdown}\n\nEvery round stands in {arguments.out}.")
    return 0


def _check_systems(parts: Sequence[str], names: Sequence[str] | None) -> None:
    """Refuses a name at once, not when its part has its turn."""
    from keras_twins.benchmark.detection_systems import DETECTORS
    from keras_twins.benchmark.detection_systems import detection_systems
    from keras_twins.benchmark.segmentation import SEGMENTATION_HEADS
    from keras_twins.benchmark.segmentation import segmentation_systems
    from keras_twins.benchmark.systems import select_systems

    head, detector = next(iter(SEGMENTATION_HEADS)), next(iter(DETECTORS))
    selections = {
        "speed": select_systems,
        "scale": select_systems,
        "segmentation": functools.partial(segmentation_systems, head),
        "detection": functools.partial(detection_systems, detector),
    }
    for part in parts:
        if part in selections:
            try:
                selections[part](names)
            except ValueError as error:
                raise ValueError(f"`bench {part}`: {error}") from error


def _speed(arguments: argparse.Namespace) -> Any:
    from keras_twins import benchmark
    from keras_twins.benchmark.plots import draw_throughput

    preset = benchmark.SHORT if arguments.short else benchmark.LONG
    report = benchmark.run_speed(
        preset.systems(arguments.systems),
        arguments.variants or preset.variants,
        preset.cases(
            arguments.batch,
            arguments.sizes,
            arguments.dtypes,
            arguments.training,
        ),
        arguments.rounds or preset.rounds,
        burst=preset.burst,
        preload=arguments.preload,
        at_once=arguments.at_once,
        progress=_say,
    )
    _draw(draw_throughput, arguments.out / "throughput.png", report)
    return benchmark.Part(report.to_dict(), benchmark.format_speed(report))


def _scale(arguments: argparse.Namespace) -> Any:
    from keras_twins import benchmark
    from keras_twins.benchmark.plots import draw_resolution

    preset = benchmark.SHORT if arguments.short else benchmark.LONG
    names = arguments.systems or benchmark.SCALE_SYSTEMS
    report = benchmark.run_scale(
        benchmark.select_systems(names),
        arguments.variants or preset.variants[:1],
        arguments.sizes or preset.scale_sizes,
        arguments.rounds or preset.scale_rounds,
        burst=preset.burst,
        preload=arguments.preload,
        at_once=arguments.at_once,
        progress=_say,
    )
    _draw(draw_resolution, arguments.out / "resolution.png", report)
    return benchmark.Part(report.to_dict(), report.table())


def _import(arguments: argparse.Namespace) -> Any:
    from keras_twins import benchmark

    preset = benchmark.SHORT if arguments.short else benchmark.LONG
    report = benchmark.run_benchmark(
        arguments.backends, arguments.repeats or preset.repeats
    )
    return benchmark.Part(report.to_dict(), report.table())


def _segmentation(arguments: argparse.Namespace) -> Any:
    from keras_twins import benchmark

    preset = benchmark.SHORT if arguments.short else benchmark.LONG
    report = benchmark.run_segmentation(
        variants=arguments.variants or preset.variants[:1],
        rounds=arguments.rounds or preset.scale_rounds,
        systems=arguments.systems,
        burst=preset.burst,
        preload=arguments.preload,
        at_once=arguments.at_once,
        progress=_say,
    )
    return benchmark.Part(report.to_dict(), report.table())


def _detection(arguments: argparse.Namespace) -> Any:
    from keras_twins import benchmark

    preset = benchmark.SHORT if arguments.short else benchmark.LONG
    report = benchmark.run_detection(
        variants=arguments.variants or preset.variants[:1],
        rounds=arguments.rounds or preset.scale_rounds,
        sizes=arguments.sizes or (512,),
        systems=arguments.systems or preset.detection,
        burst=preset.burst,
        preload=arguments.preload,
        at_once=arguments.at_once,
        progress=_say,
    )
    return benchmark.Part(report.to_dict(), report.table())


def _draw(draw: Callable, path: pathlib.Path, report: Any) -> None:
    """Draws, or says why not: what was measured is worth more than a plot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        draw(path, report)
    except ImportError as error:
        _say(f"No {path.name}: {error}")


def _say(line: str) -> None:
    print(line, flush=True)


_PARTS: Mapping[str, Callable[[argparse.Namespace], Any]] = {
    "import": _import,
    "speed": _speed,
    "scale": _scale,
    "segmentation": _segmentation,
    "detection": _detection,
}

_PARTS_ON_DEMAND: Mapping[str, Callable[[argparse.Namespace], Any]] = {
    "data": data_benchmark.measure,
    "loop": training_benchmarks.measure_loop,
    "scaling": training_benchmarks.measure_scaling,
}
