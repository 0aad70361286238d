"""Speed and memory of the models of segmentation, beside plain PyTorch."""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.machine import join_facts
from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.speed import run_speed
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.step_table import step_tables
from keras_twins.benchmark.system import System
from keras_twins.benchmark.systems import select_systems

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
        """Returns a table for each head in Markdown, and what is missing."""
        parts: list[str] = []
        notes: dict[str, None] = {}
        facts: dict[str, str] = {}
        for head, report in self.heads.items():
            title = SEGMENTATION_HEADS[head]
            parts += step_tables(title, report, _all_systems(head))
            notes |= dict.fromkeys(report.notes)
            facts |= {**report.machine, **report.versions}
        if any(report.rows for report in self.heads.values()):
            parts.append(_LEGEND)
        return "\n\n".join([*parts, *notes, join_facts(facts)])

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold."""
        return {head: x.to_dict() for head, x in self.heads.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "SegmentationReport":
        """Returns the report that `to_dict` was called on.

        Args:
            content: What it returned, also by way of JSON. What stands
                beside the heads is not read.

        Returns:
            A `SegmentationReport`.
        """
        return cls(
            {
                head: SpeedReport.from_dict(content[head])
                for head in SEGMENTATION_HEADS
                if head in content
            }
        )


_LEGEND = (
    "Images of 512 x 512 pixels, 150 classes, float32: a forward pass of one "
    "image, a training step of two (AdamW, clipped by global norm; UPerNet "
    "with its auxiliary head), as medians in seconds; in brackets, how many "
    "times as fast as the same head in plain PyTorch on timm's backbone, "
    "which runs eagerly, without `torch.compile`. Gradient checkpointing is "
    "of the blocks of the backbone, not of the heads. Memory: peak of the "
    "process in training, in MB; on accelerators, peak of the device."
)


def segmentation_systems(
    head: str, names: Sequence[str] | None = None
) -> tuple[System, ...]:
    """Returns what is measured of a head.

    Args:
        head: A key of `SEGMENTATION_HEADS`.
        names: Names of systems, or of groups; by default all systems.

    Returns:
        Keras on each backend, with and without gradient checkpointing, and
        the peer, eager and compiled; of these what is asked for, and always
        the eager peer.

    Raises:
        ValueError: If a name is unknown.
    """
    table = _all_systems(head)
    chosen = select_systems(names, table)
    return tuple(x for x in table if x.reference or x in chosen)


def _all_systems(head: str) -> tuple[System, ...]:
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
    compiled = dataclasses.replace(
        peer,
        name="pytorch-compile",
        label=f"{peer.label}, torch.compile",
        options={**options, "compiled": True},
        reference=False,
    )
    onednn = dataclasses.replace(
        ours[0],
        name="tensorflow-onednn",
        label=f"{ours[0].label}, TF_ENABLE_ONEDNN_OPTS=1",
        environment={**ours[0].environment, "TF_ENABLE_ONEDNN_OPTS": "1"},
    )
    again = [
        dataclasses.replace(
            system,
            name=f"{system.name}-checkpointing",
            label=f"{system.label}, gradient checkpointing",
            options={**options, "gradient_checkpointing": True},
        )
        for system in ours
    ]
    return (peer, compiled, ours[0], onednn, *ours[1:], *again)


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
        systems: As `segmentation_systems` takes names.
        burst: Seconds that one measurement takes, at least one step.
        preload: Modules that the worker of the peer imports first.
        at_once: Most processes that live at once; see `run_speed`.
        progress: Gets a line for every step on the way.

    Returns:
        A `SegmentationReport`.

    Raises:
        ValueError: If a head or a system is unknown.
    """
    unknown = set(heads) - set(SEGMENTATION_HEADS)
    if unknown:
        raise ValueError(
            f"`heads` must hold some of {list(SEGMENTATION_HEADS)}. Received: "
            f"heads={list(heads)}"
        )
    reports = {}
    for head in heads:
        reports[head] = run_speed(
            segmentation_systems(head, systems),
            variants,
            _CASES,
            rounds,
            burst=burst,
            preload=preload,
            at_once=at_once,
            progress=progress,
        )
    return SegmentationReport(reports)
