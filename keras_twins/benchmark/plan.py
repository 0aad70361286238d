"""What is to be measured: cases, and the panels that they are measured in."""

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.system import System
from keras_twins.config import VARIANTS
from keras_twins.config import TwinsConfig

DTYPES = ("float32", "bfloat16")
"""What can be measured."""


@dataclasses.dataclass(frozen=True, kw_only=True, order=True)
class Case:
    """What is measured of every system that can do it.

    Args:
        training: A training step instead of a forward pass.
        size: Side of the images in pixels.
        dtype: `"float32"` or `"bfloat16"`.
        batch: Number of images.

    Raises:
        ValueError: If the dtype is unknown, or a number is not positive.
    """

    training: bool = False
    size: int = 224
    dtype: str = "float32"
    batch: int = 1

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise ValueError(
                f"`dtype` must be one of {DTYPES}. Received: "
                f"dtype={self.dtype!r}"
            )
        if self.size < 1 or self.batch < 1:
            raise ValueError(
                "`size` and `batch` must be at least 1. Received: "
                f"size={self.size}, batch={self.batch}"
            )

    @property
    def label(self) -> str:
        """The case in words."""
        what = "training step" if self.training else "inference"
        size = f"{self.size} x {self.size}"
        return f"{what}, {size}, batch {self.batch}, {self.dtype}"


def inference_cases(
    batches: Sequence[int] = (1, 16),
    sizes: Sequence[int] = (224,),
    dtypes: Sequence[str] = ("float32",),
) -> tuple[Case, ...]:
    """Returns the forward passes of every combination.

    Args:
        batches: Numbers of images.
        sizes: Sides of the images in pixels.
        dtypes: Some of `"float32"` and `"bfloat16"`.

    Returns:
        Cases.
    """
    return tuple(
        Case(size=size, dtype=dtype, batch=batch)
        for size, dtype, batch in itertools.product(sizes, dtypes, batches)
    )


@dataclasses.dataclass(frozen=True)
class Entry:
    """A worker of a panel.

    Args:
        system: What runs in it.
        dtype: What it computes in.
        batches: Numbers of images of its cases.
        artifacts: The files that it runs, if it runs any, by batch size.
    """

    system: System
    dtype: str
    batches: tuple[int, ...]
    artifacts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def anchor(self) -> bool:
        """Whether the others are compared with it."""
        return self.system.reference and self.dtype == "float32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """A system that was to be measured and could not be.

    Args:
        variant: Name of the architecture.
        system: Name of the system.
        what: What was asked of it.
        reason: The last line of the error.
    """

    variant: str
    system: str
    what: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Panel:
    """What is measured at the same time, and so can be compared.

    Args:
        variant: Name of the architecture.
        config: The architecture.
        training: Training steps instead of forward passes.
        size: Side of the images in pixels.
        entries: The workers.
    """

    variant: str
    config: TwinsConfig
    training: bool
    size: int
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """The panel in words."""
        what = "training" if self.training else "inference"
        return f"{self.variant} {what} {self.size}"

    def failure(self, entry: Entry, reason: str) -> Failure:
        """Returns what is reported of a worker that failed.

        Args:
            entry: The worker.
            reason: The last line of the error.

        Returns:
            A `Failure`.
        """
        return Failure(
            variant=self.variant,
            system=entry.system.name,
            what=f"{self.label}, {entry.dtype}",
            reason=reason,
        )

    def task(
        self, dtype: str, artifacts: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Returns the fields of the `Task` of a worker.

        Args:
            dtype: What it computes in.
            artifacts: The files that it runs, by batch size.

        Returns:
            A dictionary that JSON can hold.
        """
        return {
            "variant": self.variant,
            "config": self.config.to_dict(),
            "size": self.size,
            "dtype": dtype,
            "training": self.training,
            "artifacts": dict(artifacts or {}),
        }


def read_variants(names: Sequence[str]) -> dict[str, TwinsConfig]:
    """Returns architectures by name.

    Args:
        names: Keys of `keras_twins.VARIANTS`, or paths of JSON files that
            hold what `TwinsConfig.to_dict` gives.

    Returns:
        The architectures; that of a file has the name of the file.

    Raises:
        ValueError: If there is neither a variant nor a file of a name.
    """
    variants = {}
    for name in names:
        path = pathlib.Path(name)
        if name in VARIANTS:
            variants[name] = VARIANTS[name]
        elif path.suffix == ".json" and path.is_file():
            fields = json.loads(path.read_text(encoding="utf-8"))
            variants[path.stem] = TwinsConfig(**fields)
        else:
            raise ValueError(
                f"`variants` must hold some of {list(VARIANTS)}, or paths of "
                "JSON files with the fields of a TwinsConfig. Received: "
                f"{name!r}"
            )
    return variants


def make_panels(
    systems: Sequence[System],
    variants: Mapping[str, TwinsConfig],
    cases: Sequence[Case],
) -> Iterator[Panel]:
    """Yields the panels in which the cases are measured.

    Args:
        systems: What is measured.
        variants: Architectures by name.
        cases: What is measured of them.

    Yields:
        Panel: One for each variant, mode and size. The systems that are no
        Twins are in the panels of the first variant only.
    """
    for number, (variant, config) in enumerate(variants.items()):
        chosen = [s for s in systems if s.twins or number == 0]
        keys = dict.fromkeys((case.training, case.size) for case in cases)
        for training, size in keys:
            here = [
                c for c in cases if (c.training, c.size) == (training, size)
            ]
            entries = tuple(
                entry for system in chosen for entry in _entries(system, here)
            )
            yield Panel(variant, config, training, size, entries)


def _entries(system: System, cases: Sequence[Case]) -> Iterator[Entry]:
    """Yields the workers of a system for cases of one panel."""
    if cases[0].training and not system.training:
        return
    batches: dict[str, list[int]] = {}
    for case in cases:
        batches.setdefault(case.dtype, []).append(case.batch)
    if system.reference:
        # Whatever the dtype, the comparison is with float32.
        batches["float32"] = sorted({case.batch for case in cases})
    for dtype, numbers in batches.items():
        if dtype in system.dtypes:
            yield Entry(system, dtype, tuple(dict.fromkeys(numbers)))
