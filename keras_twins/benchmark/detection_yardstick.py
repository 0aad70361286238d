"""What mmdetection took elsewhere, brought here by timm's backbone.

mmdetection has no Twins and is not installed beside what is measured. It was
measured once, on another machine, with the official backbone, whose own share
is known: detectors and backbone are taken to be slower here by one factor.
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping

from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.system import System

YARDSTICK = "timm-backbone"
"""Name of the system that is the backbone alone."""

RECORDED = System(
    name="mmdetection",
    label="mmdetection, recorded elsewhere, scaled by timm's backbone",
    group="peer",
    function="",
)
"""What stands for mmdetection; nothing that runs."""

_VARIANT = "svt_small"
_SIZE = 512
_BACKBONE = 0.24
"""Seconds of a forward pass of the backbone on one image, in that run."""


@dataclasses.dataclass(frozen=True)
class _Record:
    """Seconds on two cores at 512 x 512 pixels, and bytes.

    Args:
        forward: A forward pass of one image, with detections.
        training: A training step of two images.
        peak: Largest memory of the process.
    """

    forward: float
    training: float
    peak: int


_RECORDS: Mapping[str, _Record] = {
    "retinanet": _Record(forward=0.79, training=3.5, peak=3_000_000_000),
    "mask_rcnn": _Record(forward=0.91, training=5.2, peak=3_000_000_000),
}


def add_recorded(head: str, report: SpeedReport) -> SpeedReport:
    """Returns a report in which mmdetection has rows.

    Args:
        head: `"retinanet"` or `"mask_rcnn"`.
        report: What was measured, the yardstick among it.

    Returns:
        The report, with a row for each case of which there is a record.
    """
    rows = (*report.rows, *_rows(_RECORDS[head], report))
    return dataclasses.replace(report, rows=rows)


def _rows(record: _Record, report: SpeedReport) -> Iterator[Row]:
    for row in report.rows:
        comparable = (row.variant, row.case.size) == (_VARIANT, _SIZE)
        if row.system != YARDSTICK or not comparable or row.device != "cpu":
            continue
        seconds = record.training if row.case.training else record.forward
        # The yardstick is a forward pass of all images, also in training.
        scale = seconds / _BACKBONE / row.case.batch
        yield dataclasses.replace(
            row,
            system=RECORDED.name,
            seconds=tuple(value * scale for value in row.seconds),
            peaks=(record.peak,) * len(row.peaks),
            base=0,
            warmup=0.0,
            parameters=0,
        )
