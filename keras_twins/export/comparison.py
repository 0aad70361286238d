"""How far the outputs of two programs are apart, and what may be."""

import dataclasses
import math
from collections.abc import Collection
from collections.abc import Mapping

import keras
import numpy as np

Outputs = list[np.ndarray]
"""What a model gives for a batch, flat and in order."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What an artefact must reach to be accepted; `None`: not asked for.

    Args:
        difference: Largest difference from Keras, as a fraction of Keras's
            largest output.
        agreement: Smallest fraction of images with the same top-1 class; for
            classifiers only.
        cosine: Smallest cosine similarity; for what is no classifier.
    """

    difference: float | None = None
    agreement: float | None = None
    cosine: float | None = None


_EIGHT_BITS = Limits(difference=2.0, agreement=0.98, cosine=0.95)

LIMITS: Mapping[str, Limits] = {
    "float32": Limits(difference=1e-4),
    "float16": Limits(difference=1e-2),
    "dynamic_int8": _EIGHT_BITS,
    "int8": _EIGHT_BITS,
}
"""The limits by the precision of the artefact.

Eight bits move an output by some percent of its range wherever it is; what
counts there is that the answer stays the same. The difference is to catch what
is of another scale altogether.
"""

_COMPUTED_IN: Mapping[str, float] = {"bfloat16": 3e-2, "float16": 1e-2}
"""Least limit of the difference, by what a layer of the model computes in."""


def choose_limits(
    precision: str,
    tolerance: float | None,
    min_agreement: float | None,
    computed_in: Collection[str] = (),
) -> Limits:
    """Returns the limits of a precision, or those that were asked for.

    Args:
        precision: Precision of the artefact, a key of `LIMITS`.
        tolerance: Instead of the limit of the difference.
        min_agreement: Instead of the limit of the agreement.
        computed_in: Dtypes that the model computes in.

    Returns:
        The `Limits`.

    Raises:
        ValueError: If the precision has no limits, or a limit makes no
            sense.
    """
    if precision not in LIMITS:
        raise ValueError(
            f"`precision` must be one of {list(LIMITS)}. Received: "
            f"precision={precision!r}"
        )
    if tolerance is not None and not (
        isinstance(tolerance, int | float) and 0 <= tolerance < math.inf
    ):
        raise ValueError(
            "`tolerance` must be a finite number from 0 up. Received: "
            f"{tolerance=}"
        )
    if min_agreement is not None and not 0 <= min_agreement <= 1:
        raise ValueError(
            "`min_agreement` must be a fraction from 0 to 1. Received: "
            f"{min_agreement=}"
        )
    limits = LIMITS[precision]
    if tolerance is None:
        least = [x for d, x in _COMPUTED_IN.items() if d in computed_in]
        tolerance = max([limits.difference or 0.0, *least])
    limits = dataclasses.replace(limits, difference=tolerance)
    if min_agreement is not None:
        limits = dataclasses.replace(limits, agreement=min_agreement)
    return limits


def max_difference(expected: Outputs, received: Outputs) -> float:
    """Returns the largest difference between two lists of outputs.

    Args:
        expected: Outputs of Keras.
        received: Outputs of an artefact, of the same shapes.

    Returns:
        The difference; NaN if one of them holds NaN.
    """
    pairs = zip(expected, received, strict=True)
    with np.errstate(invalid="ignore"):
        # NumPy's maximum keeps NaN, the built-in one may lose it.
        return float(np.max([np.abs(a - b).max() for a, b in pairs]))


def largest_output(outputs: Outputs) -> float:
    """Returns the largest absolute value.

    Args:
        outputs: Outputs of a model.

    Returns:
        The value; NaN if there is one.
    """
    return float(np.max([np.abs(x).max() for x in outputs]))


def top1_agreement(expected: Outputs, received: Outputs) -> float:
    """Returns the fraction of rows whose largest value is the same one.

    Args:
        expected: One output of shape `(batch, classes)`.
        received: The same of an artefact.

    Returns:
        The fraction.
    """
    same = expected[0].argmax(axis=-1) == received[0].argmax(axis=-1)
    return float(same.mean())


def cosine_similarity(expected: Outputs, received: Outputs) -> float:
    """Returns the mean cosine of the angles between outputs.

    Args:
        expected: Outputs of Keras, of shape `(batch, ...)`.
        received: Outputs of an artefact, of the same shapes.

    Returns:
        The mean over the images; of several outputs, the smallest mean.
    """
    pairs = zip(expected, received, strict=True)
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.min([_mean_cosine(a, b) for a, b in pairs]))


def _mean_cosine(expected: np.ndarray, received: np.ndarray) -> float:
    a, b = (
        x.reshape(len(x), -1).astype("float64") for x in (expected, received)
    )
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = (np.abs(a).max(axis=1) == 0) & (np.abs(b).max(axis=1) == 0)
    # Rounding may lead beyond 1, and zeros have no direction.
    cosines = (a * b).sum(axis=1) / np.where(norms == 0, 1, norms)
    return float(np.where(both_zero, 1, np.minimum(cosines, 1)).mean())


def is_classifier(model: keras.Model) -> bool:
    """Returns whether a model's one output names classes.

    Pooled features have the same shape `(batch, n)`, but no dense layer or
    activation at the end.

    Args:
        model: A functional model.

    Returns:
        Whether which output is the largest means something.
    """
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        return False
    if model.outputs[0].shape[-1] == 1:
        return False
    last = model
    while isinstance(last, keras.Model):
        last = last.outputs[0]._keras_history.operation
    ends = (
        keras.layers.Dense,
        keras.layers.Activation,
        keras.layers.Softmax,
    )
    return isinstance(last, ends)
