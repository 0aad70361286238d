"""Compares a ported file with its original: tensors first, then logits."""

import dataclasses
import os
from collections.abc import Mapping

import keras
import numpy as np

from keras_twins import TwinsConfig
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.errors import CheckpointError
from weights_port.checkpoints import read_official
from weights_port.convert import describe
from weights_port.golden import rule_image
from weights_port.models import Parts
from weights_port.models import build_model
from weights_port.models import fill_model
from weights_port.models import without_head
from weights_port.official import OfficialState
from weights_port.official import resolve_config
from weights_port.timm_model import timm_logits
from weights_port.timm_model import why_no_timm

TOLERANCE = 1e-5
"""Largest difference of outputs over their standard deviation; the float
noise of the originals is about 2e-6."""

# Neither multiples of the windows nor of the patches: dialects differ.
_SHAPE = (1, 150, 182)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verification:
    """How far a ported file is from its original.

    Differences of outputs are the largest over their standard deviation.

    Args:
        original: The original weights.
        tensors: Largest difference of each tensor, by official name.
        left_out: Tensors of the classifier that the ported file lacks.
        outputs: Difference of the outputs, in the original's dialect.
        default_dialect: Difference of the ported file's outputs if the model
            is built with the default dialect instead.
        timm: Difference from timm's own model, `None` if not compared.
        not_timm: Why it was not compared with timm, or `""`.
    """

    original: OfficialState
    tensors: Mapping[str, float]
    left_out: tuple[str, ...]
    outputs: float
    default_dialect: float
    timm: float | None
    not_timm: str

    @property
    def passed(self) -> bool:
        """Whether tensors are equal to the bit, and outputs agree."""
        equal = not any(self.tensors.values())
        return equal and max(self.outputs, self.timm or 0.0) <= TOLERANCE

    def report(self) -> str:
        """Returns the result in words, one fact a line."""
        worst = sorted(self.tensors, key=lambda n: -self.tensors[n])
        unequal = [name for name in worst if self.tensors[name]]
        dialect = self.original.dialect
        lines = [
            describe(self.original),
            f"tensors: {len(self.tensors)} compared, {len(unequal)} differ",
            *(f"  {name}: {self.tensors[name]:.3e}" for name in unequal),
        ]
        if self.left_out:
            lines.append(f"not in the ported file: {', '.join(self.left_out)}")
        lines += [
            f"outputs, dialect {dialect!r}: {self.outputs:.1e}",
            f"outputs, dialect 'timm' instead: {self.default_dialect:.1e}",
            f"outputs against timm's model: {self.timm:.1e}"
            if self.timm is not None
            else "not compared with an independent implementation: "
            + self.not_timm,
            "the files agree" if self.passed else "THE FILES DIFFER",
        ]
        return "\n".join(lines)


def verify(
    original: str | os.PathLike[str],
    ported: str | os.PathLike[str],
    architecture: str | TwinsConfig | None = None,
    naming: Naming | None = None,
    dialect: str | None = None,
    *,
    progress: bool = False,
) -> Verification:
    """Compares a ported file with the file it was made from.

    Args:
        original: The original file.
        ported: The `.weights.h5` or `.safetensors` file.
        architecture: A key of `keras_twins.VARIANTS`, or a config; by
            default, the variant is recognised.
        naming: Whose tensor names `original` uses; by default, it is
            recognised.
        dialect: A key of `keras_twins.config.DIALECTS`; by default, that of
            the original's code base.
        progress: Whether to show a progress bar.

    Returns:
        A `Verification`.

    Raises:
        CheckpointError: If a file is not complete and right, or they hold
            different architectures.

    Example:

    ```python
    result = weights_port.verify("alt_gvt_small.pth", "svt.weights.h5")
    print(result.report())
    ```
    """
    first = read_official(original, naming, architecture, dialect)
    second = read_official(
        ported,
        architecture=first.variant or architecture,
        dialect=first.dialect,
    )
    left_out = _check_names(first, second)
    tensors = _compare(first.state, second.state, progress)
    config, parts = first.config, Parts.of(second)
    default = resolve_config(config, "timm", config.output_norms)
    expected, found = _run(config, parts, first.state, second.state)
    other = found
    if default != config:
        (other,) = _run(default, parts, second.state)
    with_timm, not_timm = _compare_timm(first, second, other)
    return Verification(
        original=first,
        tensors=tensors,
        left_out=left_out,
        outputs=_relative(found, expected),
        default_dialect=_relative(other, expected),
        timm=with_timm,
        not_timm=not_timm,
    )


def _check_names(
    first: OfficialState, second: OfficialState
) -> tuple[str, ...]:
    """Returns what the ported file lacks; only a classifier may."""
    missing = sorted(first.state.keys() - second.state.keys())
    added = sorted(second.state.keys() - first.state.keys())
    wrong = [name for name in missing if not name.startswith("head.")] + added
    if wrong:
        raise CheckpointError(
            "The files hold different tensors. Expected those of "
            f"{describe(first)}; only one of the files has: {wrong[:20]}."
        )
    return tuple(missing)


def _compare(
    first: Mapping[str, np.ndarray],
    second: Mapping[str, np.ndarray],
    progress: bool,
) -> dict[str, float]:
    bar = keras.utils.Progbar(len(second), unit_name="tensor")
    differences = {}
    for done, name in enumerate(second, start=1):
        left, right = (
            np.asarray(state[name], "float64") for state in (first, second)
        )
        if left.shape != right.shape:
            raise CheckpointError(
                f"{name} has the shape {left.shape} in the original and "
                f"{right.shape} in the ported file."
            )
        differences[name] = float(np.abs(left - right).max(initial=0.0))
        if progress:
            bar.update(done)
    return differences


def _run(
    config: TwinsConfig, parts: Parts, *states: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Returns a model's outputs with several weights, for one image."""
    model = build_model(config, parts)
    model.compile()
    outputs = []
    for state in states:
        if parts.classes is None:
            state = without_head(state)
        fill_model(model, config, state)
        found = model.predict_on_batch(_image(parts.channels))
        outputs.append(np.asarray(found))
    return outputs


def _image(channels: int) -> np.ndarray:
    batch, height, width = _SHAPE
    return rule_image(0, (batch, channels, height, width))


def _compare_timm(
    first: OfficialState, second: OfficialState, outputs: np.ndarray
) -> tuple[float | None, str]:
    """Returns the difference from timm's model, or why there is none."""
    reason = why_no_timm(first)
    if not reason and not second.include_top:
        reason = "the ported file has no classifier"
    if reason:
        return None, reason
    expected = timm_logits(first, _image(first.channels))
    return _relative(outputs, expected), ""


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    difference = np.abs(found.astype("float64") - expected).max()
    spread = expected.std(dtype="float64")
    return float(difference / spread) if difference else 0.0
