"""Whether and where a training goes on."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins.training.run.checkpoints import Checkpoint
from keras_twins.training.run.checkpoints import CheckpointFolder
from keras_twins.training.run.errors import CheckpointMismatchError
from keras_twins.training.run.state import TrainingState
from keras_twins.training.strategies import Distribution
from keras_twins.training.strategies import on_chief

_SHOWN = 8


def find_checkpoint(
    folder: CheckpointFolder, distribution: Distribution
) -> Checkpoint | None:
    """Returns the newest checkpoint, the same in all processes.

    Args:
        folder: Where the checkpoints are.
        distribution: The processes.

    Returns:
        The checkpoint, or `None` in a new folder.

    Raises:
        CorruptCheckpointError: If all are damaged.
        CheckpointMismatchError: If the processes do not see the same folder.
    """
    looked: list[Checkpoint | None] = []

    def look() -> None:
        folder.remove_drafts()
        looked.append(folder.latest())

    on_chief(distribution, look)
    found = looked[0] if looked else folder.latest()
    step = np.array([-1 if found is None else found.state["step"]], "int64")
    total = int(distribution.sum_arrays([step])[0][0])
    if total != distribution.num_processes * int(step[0]):
        raise CheckpointMismatchError(
            "All processes must see the same folder of checkpoints. Received: "
            f"folder={folder.path}, whose newest checkpoint is not the same "
            "for all."
        )
    return found


def resumed_state(
    found: Checkpoint | None, fresh: TrainingState, accept_changes: bool
) -> TrainingState:
    """Returns the state of a checkpoint, if it is of the same training.

    Args:
        found: The checkpoint, if there is one.
        fresh: The state of a training that begins.
        accept_changes: Whether the configuration may be another one.

    Returns:
        The state; without a checkpoint, the fresh one.

    Raises:
        CheckpointMismatchError: If it is of another training.
    """
    if found is None:
        return fresh
    state = TrainingState.from_json(found.state)
    if state.steps_per_epoch != fresh.steps_per_epoch:
        raise CheckpointMismatchError(
            f"{found.path} is of a training with {state.steps_per_epoch} steps "
            f"an epoch. Received: steps_per_epoch={fresh.steps_per_epoch}. "
            "Train with the same data and batch size, or in another folder."
        )
    changes = describe_changes(state.configuration, fresh.configuration)
    if changes and not accept_changes:
        shown = "; ".join(changes[:_SHOWN])
        more = "; ..." if len(changes) > _SHOWN else ""
        raise CheckpointMismatchError(
            f"{found.path} is of another training: {shown}{more}. Train with "
            "the configuration of the checkpoint, in another folder, or with "
            "`accept_changes=True` (`--accept-changes`)."
        )
    return dataclasses.replace(state, configuration=fresh.configuration)


def plain(configuration: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Returns a configuration as it is read from JSON.

    Args:
        configuration: The configuration.

    Returns:
        The same with lists for tuples, and text for what JSON does not have.
    """
    if configuration is None:
        return None
    return json.loads(json.dumps(configuration, default=_text))


def describe_changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[str]:
    """Returns what differs between two configurations.

    Args:
        before: What a checkpoint has.
        after: What is asked for.

    Returns:
        A few words for each change.
    """
    old, new = _flatten(before or {}), _flatten(after or {})
    return [
        f"{name} was {old.get(name, 'absent')}, is {new.get(name, 'absent')}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name, _ABSENT) != new.get(name, _ABSENT)
    ]


_ABSENT = object()


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(_flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _text(value: Any) -> str:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return str(value)
