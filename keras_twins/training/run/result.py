"""What became of a training."""

import dataclasses
import pathlib
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitResult:
    """What became of a training.

    Args:
        history: What was measured, a list over all epochs for each name.
        status: `"finished"`, or `"interrupted"` if there is more to train.
        step: Number of steps so far.
        best: Value, epoch and step of the best validation, if there was one.
        checkpoint: The newest checkpoint.
    """

    history: dict[str, list[float]]
    status: Literal["finished", "interrupted"]
    step: int
    best: dict[str, float] | None = None
    checkpoint: pathlib.Path | None = None
