"""Speed and memory of the models of segmentation, beside plain PyTorch."""

import dataclasses
import statistics
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.machine import join_facts
from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.speed import run_speed
from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.speed_table import markdown_table
from keras_twins.benchmark.system import System

SEGMENTATION_HEADS: Mapping[str, str] = {
    "semantic_fpn": "Semantic FPN",
    "upernet": "UPerNet",
}
"""What can be measured, and what it is called."""

_MODELS = "keras_twins.benchmark.segmentation_models"
_TITLES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
_CASES = (Case(size=512, batch=1), Case(size=512, batch=2, training=True))


@dataclasses.dataclass(frozen=True)
class SegmentationReport:
    """What was measured of each head.

    Args:
        heads: A report for each, by the keys of `SEGMENTATION_HEADS`.
    """

    heads: Mapping[str, SpeedReport]

    def table(self) -> str:
        """Returns a table for each head in Markdown."""
        parts = []
        for head, report in self.heads.items():
            variants = dict.fromkeys(row.variant for row in report.rows)
            for variant in variants:
                title = f"**{SEGMENTATION_HEADS[head]} on {variant}**"
                parts.append(f"{title}\n\n{_table(report, variant)}")
        facts: dict[str, str] = {}
        for report in self.heads.values():
            facts |= {**report.machine, **report.versions}
        return "\n\n".join([*parts, _LEGEND, join_facts(facts)])

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold."""
        return {head: x.to_dict() for head, x in self.heads.items()}


_LEGEND = (
    "Images of 512 x 512 pixels, 150 classes, float32: a forward pass of one "
    "image, a training step of two (AdamW, clipped by global norm; UPerNet "
    "with its auxiliary head), as medians in seconds; in brackets, how many "
    "times as fast as the same head in plain PyTorch on timm's backbone. "
    "Memory: peak of the process in training, in MB."
)


def segmentation_systems(head: str) -> tuple[System, ...]:
    """Returns what is measured of a head.

    Args:
        head: A key of `SEGMENTATION_HEADS`.

    Returns:
        Keras on each backend, with and without gradient checkpointing, and
        the peer.
    """
    options = {"head": head}
    ours = [_keras(backend, options) for backend in _TITLES]
    peer = System(
        name="pytorch",
        label="timm and PyTorch",
        group="timm",
        function=f"{_MODELS}:build_torch",
        options=options,
        environment={"KERAS_BACKEND": "torch"},
        packages=("torch", "timm"),
        dtypes=("float32",),
        reference=True,
    )
    onednn = dataclasses.replace(
        ours[0],
        name="tensorflow-onednn",
        environment={**ours[0].environment, "TF_ENABLE_ONEDNN_OPTS": "1"},
    )
    again = [
        dataclasses.replace(
            system,
            name=f"{system.name}-checkpointing",
            options={**options, "gradient_checkpointing": True},
        )
        for system in ours
    ]
    return (peer, ours[0], onednn, *ours[1:], *again)


def _keras(backend: str, options: Mapping[str, Any]) -> System:
    return System(
        name=backend,
        label=f"Keras on {_TITLES[backend]}",
        group="keras",
        function=f"{_MODELS}:build_keras",
        options=options,
        environment={"KERAS_BACKEND": backend},
        packages=(backend,),
        dtypes=("float32",),
    )


def run_segmentation(
    heads: Sequence[str] = tuple(SEGMENTATION_HEADS),
    variants: Sequence[str] = ("svt_small",),
    rounds: int = 3,
    *,
    systems: Sequence[str] | None = None,
    burst: float = 1.0,
    preload: Sequence[str] = (),
    at_once: int | None = None,
    progress: Callable[[str], object] = print,
) -> SegmentationReport:
    """Measures forward passes and training steps at 512 x 512 pixels.

    Args:
        heads: Keys of `SEGMENTATION_HEADS`.
        variants: Keys of `keras_twins.VARIANTS`.
        rounds: How often each system is measured.
        systems: Names of systems; by default all. The peer is always one.
        burst: Seconds that one measurement takes, at least one step.
        preload: Modules that the worker of the peer imports first.
        at_once: Most processes that live at once; see `run_speed`.
        progress: Gets a line for every step on the way.

    Returns:
        A `SegmentationReport`.

    Raises:
        ValueError: If a head is unknown.
    """
    unknown = set(heads) - set(SEGMENTATION_HEADS)
    if unknown:
        raise ValueError(
            f"`heads` must hold some of {list(SEGMENTATION_HEADS)}. Received: "
            f"heads={list(heads)}"
        )
    reports = {}
    for head in heads:
        chosen = [
            system
            for system in segmentation_systems(head)
            if systems is None or system.reference or system.name in systems
        ]
        reports[head] = run_speed(
            chosen,
            variants,
            _CASES,
            rounds,
            burst=burst,
            preload=preload,
            at_once=at_once,
            progress=progress,
        )
    return SegmentationReport(reports)


def _table(report: SpeedReport, variant: str) -> str:
    header = ["system", "forward", "training step", "memory"]
    return markdown_table([header, *_lines(report, variant)], 3)


def _lines(report: SpeedReport, variant: str) -> Iterator[list[str]]:
    rows = [row for row in report.rows if row.variant == variant]
    for system in dict.fromkeys(row.system for row in rows):
        mine = [row for row in rows if row.system == system]
        training = [row for row in mine if row.case.training]
        forward = [row for row in mine if not row.case.training]
        peak = f"{training[0].peak / 1e6:.0f}" if training else ""
        yield [
            system,
            _cell(report, forward),
            _cell(report, training),
            peak,
        ]


def _cell(report: SpeedReport, rows: Sequence[Row]) -> str:
    """Returns seconds and ratio; the groups are taken together."""
    if not rows:
        return ""
    seconds = [value for row in rows for value in row.seconds]
    text = f"{statistics.median(seconds):.2f}"
    ratios = [ratio for row in rows for ratio in report.ratios(row)]
    return f"{text} ({statistics.median(ratios):.2f})" if ratios else text
