"""Compares a ported file of a whole dense model with its original."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twins.weights.dense import load_dense
from keras_twins.weights.dense_files import read_dense
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.loading import load_keras_file
from weights_port.dense import describe_model
from weights_port.dense import open_dense
from weights_port.dense import open_keras
from weights_port.golden import rule_image
from weights_port.verify import TOLERANCE

# Neither multiples of the windows nor of the patches: dialects differ.
_SHAPE = (1, 3, 150, 182)


@dataclasses.dataclass(frozen=True)
class DenseVerification:
    """How far a ported file of a dense model is from its original.

    Args:
        model: The model of the original.
        tensors: Largest difference of each weight, by path.
        outputs: Largest difference of the outputs for an image, before
            anything is decoded, over their standard deviation.
    """

    model: Any
    tensors: Mapping[str, float]
    outputs: float

    @property
    def passed(self) -> bool:
        """Whether weights are equal to the bit, and outputs agree."""
        return not any(self.tensors.values()) and self.outputs <= TOLERANCE

    def report(self) -> str:
        """Returns the result in words, one fact a line."""
        unequal = {k: v for k, v in self.tensors.items() if v}
        return "\n".join(
            [
                describe_model(self.model),
                f"weights: {len(self.tensors)} compared, {len(unequal)} differ",
                *(f"  {name}: {value:.3e}" for name, value in unequal.items()),
                f"outputs: {self.outputs:.1e}",
                "the files agree" if self.passed else "THE FILES DIFFER",
            ]
        )


def verify_dense(
    original: str | os.PathLike[str],
    ported: str | os.PathLike[str],
    variant: str | None = None,
    dialect: str | None = None,
) -> DenseVerification:
    """Compares a ported file of a dense model with the file it was made from.

    Args:
        original: As for `open_dense`.
        ported: A `.keras`, `.weights.h5` or `.safetensors` file; the first
            brings numeric details of its own, the others get the original's.
        variant: As for `open_dense`.
        dialect: As for `open_dense`.

    Returns:
        A `DenseVerification`.

    Raises:
        CheckpointError: If a file is not complete and right, or they hold
            different models.
    """
    first = open_dense(original, variant, dialect)
    second = _open_ported(ported, first)
    left, right = ({v.path: v for v in m.weights} for m in (first, second))
    if left.keys() != right.keys():
        raise CheckpointError(
            "The files hold different models. Expected: "
            f"{describe_model(first)}. Received: {describe_model(second)}; "
            f"only one has: {sorted(left.keys() ^ right.keys())[:20]}."
        )
    tensors = {path: _difference(left[path], right[path]) for path in left}
    return DenseVerification(first, tensors, _compare_outputs(first, second))


def _open_ported(path: str | os.PathLike[str], like: Any) -> Any:
    if os.fspath(path).endswith(".keras"):
        return open_keras(path)
    model = type(like).from_config(like.get_config())
    if os.fspath(path).endswith(".weights.h5"):
        load_keras_file(model, path, include_top=True)
        return model
    head, config = like.head_name, like.backbone.config
    load_dense(model, config, head, path, read_dense(path, head))
    return model


def _difference(first: Any, second: Any) -> float:
    left, right = (
        keras.ops.convert_to_numpy(x).astype("float64") for x in (first, second)
    )
    if left.shape != right.shape:
        raise CheckpointError(
            f"{first.path} has the shape {left.shape} in the original and "
            f"{right.shape} in the ported file."
        )
    return float(np.abs(left - right).max(initial=0.0))


def _compare_outputs(first: Any, second: Any) -> float:
    """Returns the largest difference over the standard deviation."""
    pixels = 120 + 60 * rule_image(0, _SHAPE)
    worst = 0.0
    outputs = [_raw_outputs(model, pixels) for model in (first, second)]
    for left, right in zip(*outputs, strict=True):
        difference = float(np.abs(left - right).max())
        worst = max(worst, difference / float(left.std(dtype="float64")))
    return worst


def _raw_outputs(model: Any, pixels: np.ndarray) -> list[np.ndarray]:
    graph = keras.Model(model.inputs[0], model.output)
    graph.compile()
    return keras.tree.flatten(graph.predict_on_batch(pixels))
