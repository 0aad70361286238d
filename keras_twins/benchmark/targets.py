"""What is asked of the speed, and whether it was met."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence

from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.systems import SYSTEMS

_VARIANTS = ("svt_small", "pcpvt_small")
_TENSORFLOW = ("tensorflow", "tensorflow-onednn", "tensorflow-xla")
_TORCH = ("torch", "torch-compile")
_KERAS = tuple(s.name for s in SYSTEMS if s.group == "keras")
_OURS = tuple(s.name for s in SYSTEMS if s.ours)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """How much faster than the best of the references something should be.

    Args:
        title: What should be, in words.
        case: What is measured.
        systems: Names of the systems, of which the best one counts.
        minimum: Ratio to the fastest reference, of classifiers timm eager or
            timm compiled.
        against: The dtype of that.
        accelerator: Whether it is asked of accelerators, not of CPUs.
    """

    title: str
    case: Case
    systems: tuple[str, ...]
    minimum: float
    against: str = "float32"
    accelerator: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """A target on a variant.

    Args:
        target: What was asked.
        variant: Name of the architecture.
        system: The best system.
        ratio: What it reached.
    """

    target: Target
    variant: str
    system: str
    ratio: float

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.ratio >= self.target.minimum


def _on_accelerators() -> Iterator[Target]:
    for batch in (128, 256):
        for training in (False, True):
            for title, systems in (("JAX", ("jax",)), ("PyTorch", _TORCH)):
                yield Target(
                    title=title,
                    case=Case(training=training, batch=batch, dtype="bfloat16"),
                    systems=systems,
                    minimum=1.0,
                    against="bfloat16",
                    accelerator=True,
                )


_BATCH = Case(batch=16)
_ONE = Case(batch=1)
_TRAINING = Case(training=True, batch=16)

TARGETS: Sequence[Target] = (
    *(
        Target(title=title, case=case, systems=systems, minimum=minimum)
        for title, case, systems, minimum in (
            ("TensorFlow", _BATCH, _TENSORFLOW, 1.25),
            ("JAX", _BATCH, ("jax",), 1.4),
            ("PyTorch", _BATCH, _TORCH, 1.0),
            ("best of ours in Keras", _ONE, _KERAS, 1.2),
            ("LiteRT", _ONE, ("litert",), 1.7),
            ("TensorFlow", _TRAINING, _TENSORFLOW, 1.4),
            ("JAX", _TRAINING, ("jax",), 1.0),
            ("PyTorch", _TRAINING, _TORCH, 1.0),
        )
    ),
    *(
        Target(
            title="best of ours",
            case=dataclasses.replace(case, dtype="bfloat16"),
            systems=_OURS,
            minimum=2.0,
        )
        for case in (_ONE, _BATCH)
    ),
    *_on_accelerators(),
)
"""What is asked for, on Twins-SVT-S and Twins-PCPVT-S."""


_BOTH = ("tensorflow", "tensorflow-onednn")
_EMPTY = ("tensorflow-empty", "jax-empty", "torch-empty")
_DETECTORS = (Case(size=512), Case(size=512, batch=2, training=True))

DETECTION_TARGETS: Sequence[Target] = tuple(
    Target(title=title, case=case, systems=systems, minimum=minimum)
    for case in _DETECTORS
    for title, systems, minimum in (
        ("best of ours", (*_BOTH, "jax", "torch"), 1.2),
        ("TensorFlow", _BOTH, 0.8),
        ("JAX", ("jax",), 0.8),
        ("PyTorch", ("torch",), 0.8),
        ("best of ours, nothing found", _EMPTY, 1.2),
        ("TensorFlow, nothing found", _EMPTY[:1], 0.8),
        ("JAX, nothing found", _EMPTY[1:2], 0.8),
        ("PyTorch, nothing found", _EMPTY[2:], 0.8),
    )
)
"""What is asked of the detectors: one backend fast, none of them slow."""


def judge(
    report: SpeedReport, targets: Sequence[Target] = TARGETS
) -> tuple[Verdict, ...]:
    """Returns which targets are met.

    Args:
        report: What was measured.
        targets: What was asked.

    Returns:
        A verdict for each target and variant that was measured, and that is
        meant for where it was measured.
    """
    found = (
        _verdict(report, target, variant)
        for variant in _VARIANTS
        for target in targets
    )
    return tuple(verdict for verdict in found if verdict is not None)


def _verdict(
    report: SpeedReport, target: Target, variant: str
) -> Verdict | None:
    best: tuple[float, Row] | None = None
    for row in report.rows:
        if (row.variant, row.case) != (variant, target.case):
            continue
        if row.system not in target.systems:
            continue
        if (row.device != "cpu") != target.accelerator:
            continue
        ratio = report.ratio(row, target.against)
        if ratio is not None and (best is None or ratio > best[0]):
            best = ratio, row
    if best is None:
        return None
    ratio, row = best
    return Verdict(
        target=target, variant=variant, system=row.system, ratio=ratio
    )
