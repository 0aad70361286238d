"""How fast the detectors and their operators were."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.detection_systems import DETECTORS
from keras_twins.benchmark.detection_systems import OPERATORS
from keras_twins.benchmark.detection_systems import all_systems
from keras_twins.benchmark.detection_yardstick import RECORDED
from keras_twins.benchmark.machine import join_facts
from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.speed_table import format_failures
from keras_twins.benchmark.speed_table import format_targets
from keras_twins.benchmark.speed_table import markdown_table
from keras_twins.benchmark.step_table import step_tables
from keras_twins.benchmark.step_table import time_cell
from keras_twins.benchmark.targets import DETECTION_TARGETS

_DETECTORS = (
    "80 classes, float32: a forward pass of one image with its detections, "
    "biased so that there are 100 of them, and a training step of two images "
    "with 8 boxes each (AdamW, clipped by global norm; ours all but stand "
    "still, for Mask R-CNN draws more masks as it learns), as medians in "
    "seconds, at 512 x 512 pixels unless the title has others; in brackets, "
    "how many times as fast as RetinaNet in plain PyTorch on timm's backbone, "
    "eager, or, for Mask R-CNN, as mmdetection would be. That is what it "
    "took on another machine at 512 x 512 pixels on Twins-SVT-S, times what "
    "timm's backbone takes here, divided by what the backbone took there. How "
    "many objects it found is not recorded; its time, 3.8 times that of the "
    "backbone, leaves none for the masks of 100. "
    "Memory: peak of the process in training, in MB; on accelerators, peak of "
    "the device."
)
_OPERATORS = (
    "Medians in milliseconds; in brackets, how many times as fast as the "
    "fastest peer. Suppression by class: the best 100 of 5000 boxes of 80 "
    "classes (`nms.select`). By level: 1000 sorted boxes of each of 5 levels "
    "(`nms.keep_sorted`). RoIAlign: 1000 regions of 7 x 7 bins from maps of "
    "strides 4 to 32 with 256 channels (`pool_regions`); its gradient with "
    "the forward pass and a step of gradient descent on the maps."
)


@dataclasses.dataclass(frozen=True)
class DetectionReport:
    """What was measured of each detector and each operator.

    Args:
        parts: A report for each, by the keys of `DETECTORS` and `OPERATORS`
            of `keras_twins.benchmark.detection_systems`.
    """

    parts: Mapping[str, SpeedReport]

    def table(self) -> str:
        """Returns tables in Markdown, the targets, and what is missing."""
        texts = [*self._detectors(), *self._operators()]
        notes: dict[str, None] = {}
        facts: dict[str, str] = {}
        for report in self.parts.values():
            notes |= dict.fromkeys(report.notes)
            facts |= {**report.machine, **report.versions}
        return "\n\n".join([*texts, *notes, join_facts(facts)])

    def _detectors(self) -> Iterator[str]:
        found = {k: v for k, v in self.parts.items() if k in DETECTORS}
        for head, report in found.items():
            systems = (*all_systems(head), RECORDED)
            yield from step_tables(DETECTORS[head], report, systems)
            targets = format_targets(report, DETECTION_TARGETS)
            if targets:
                yield f"{DETECTORS[head]}, targets:\n\n{targets}"
        if any(report.rows for report in found.values()):
            yield _DETECTORS

    def _operators(self) -> Iterator[str]:
        found = {k: v for k, v in self.parts.items() if k in OPERATORS}
        rows = [row for report in found.values() for row in report.rows]
        for size in dict.fromkeys(row.case.size for row in rows):
            table = markdown_table(_operator_lines(found, size), 4)
            yield f"**Operators of detectors, {size} x {size}**\n\n{table}"
        if rows:
            yield _OPERATORS
        for operator, report in found.items():
            title = f"{OPERATORS[operator]}, not measured"
            failures = format_failures(report, title, all_systems(operator))
            if failures:
                yield failures[:1].upper() + failures[1:]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold."""
        return {part: x.to_dict() for part, x in self.parts.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "DetectionReport":
        """Returns the report that `to_dict` was called on.

        Args:
            content: What it returned, also by way of JSON. What stands
                beside the parts is not read.

        Returns:
            A `DetectionReport`.
        """
        return cls(
            {
                part: SpeedReport.from_dict(content[part])
                for part in (*DETECTORS, *OPERATORS)
                if part in content
            }
        )


def _operator_lines(
    parts: Mapping[str, SpeedReport], size: int
) -> list[list[str]]:
    header = ["system", *OPERATORS.values(), "RoIAlign, gradient"]
    columns = [*((part, False) for part in OPERATORS), ("pool_regions", True)]
    labels = {x.name: x.label for part in OPERATORS for x in all_systems(part)}
    lines = [header]
    for system in labels:
        cells = [
            _milliseconds(parts.get(part), system, size, training)
            for part, training in columns
        ]
        if any(cells):
            lines.append([labels[system], *cells])
    return lines


def _milliseconds(
    report: SpeedReport | None, system: str, size: int, training: bool
) -> str:
    if report is None:
        return ""
    rows: Sequence[Row] = [
        row
        for row in report.rows
        if (row.system, row.case.size, row.case.training)
        == (system, size, training)
    ]
    return time_cell(report, rows, scale=1e3, decimals=1)
