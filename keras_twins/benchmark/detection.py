"""Speed and memory of the detectors and their operators, beside peers."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.detection_report import DetectionReport
from keras_twins.benchmark.detection_systems import DETECTORS
from keras_twins.benchmark.detection_systems import OPERATORS
from keras_twins.benchmark.detection_systems import detection_systems
from keras_twins.benchmark.detection_yardstick import RECORDED
from keras_twins.benchmark.detection_yardstick import YARDSTICK
from keras_twins.benchmark.detection_yardstick import add_recorded
from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.speed import run_speed
from keras_twins.benchmark.speed_report import SpeedReport

_PARTS = (*DETECTORS, *OPERATORS)


def run_detection(
    parts: Sequence[str] = _PARTS,
    variants: Sequence[str] = ("svt_small",),
    rounds: int = 3,
    *,
    sizes: Sequence[int] = (512,),
    systems: Sequence[str] | None = None,
    burst: float = 1.0,
    preload: Sequence[str] = (),
    at_once: int | None = None,
    progress: Callable[[str], object] = print,
) -> DetectionReport:
    """Measures forward passes with detections, and training steps.

    Args:
        parts: Keys of `DETECTORS` and `OPERATORS` of
            `keras_twins.benchmark.detection_systems`.
        variants: Keys of `keras_twins.VARIANTS`; operators know none.
        rounds: How often each system is measured.
        sizes: Sides of the images in pixels.
        systems: As `detection_systems` takes names.
        burst: Seconds that one measurement takes, at least one step.
        preload: Modules that the workers of peers import first.
        at_once: Most processes that live at once; see `run_speed`.
        progress: Gets a line for every step on the way.

    Returns:
        A `DetectionReport`.

    Raises:
        ValueError: If a part or a system is unknown.
    """
    unknown = set(parts) - set(_PARTS)
    if unknown:
        raise ValueError(
            f"`parts` must hold some of {list(_PARTS)}. Received: "
            f"parts={list(parts)}"
        )
    options: dict[str, Any] = {
        "burst": burst,
        "preload": preload,
        "at_once": at_once,
        "progress": progress,
    }
    chosen = {part: detection_systems(part, systems) for part in parts}
    reports = {}
    for part, table in chosen.items():
        if table:
            names = variants if part in DETECTORS else variants[:1]
            cases = _cases(part, sizes)
            report = run_speed(table, names, cases, rounds, **options)
            reports[part] = _compared(part, report)
    return DetectionReport(reports)


def _cases(part: str, sizes: Sequence[int]) -> tuple[Case, ...]:
    batch = 2 if part in DETECTORS else 1
    return tuple(
        case
        for size in sizes
        for case in (
            Case(size=size),
            Case(size=size, batch=batch, training=True),
        )
    )


def _compared(part: str, report: SpeedReport) -> SpeedReport:
    """Returns the report with what its systems are to be compared with."""
    if part in OPERATORS:
        return report
    report = add_recorded(part, report)
    references = tuple(x for x in report.references if x != YARDSTICK)
    # There is no peer of Mask R-CNN.
    return dataclasses.replace(
        report, references=references or (RECORDED.name,)
    )
