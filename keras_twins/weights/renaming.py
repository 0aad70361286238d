"""Applies a table of names to a state: every tensor once, or it is named."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins.weights.code_bases import DENSE_HEADS
from keras_twins.weights.code_bases import IGNORED_SUFFIXES
from keras_twins.weights.code_bases import TABLES
from keras_twins.weights.code_bases import UNUSED_IN_DENSE
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.code_bases import Row

_FIELDS = {"s": r"\d+", "b": r"\d+", "p": "weight|bias"}
_FIELD = re.compile(r"\\{([sbp])\\}")


@dataclasses.dataclass(frozen=True)
class Renaming:
    """A state under official names, and what became of the rest.

    Args:
        state: Arrays by official name.
        left_out: Names of the source that are known and not needed.
        problems: A sentence for each tensor that could not be renamed.
    """

    state: Mapping[str, np.ndarray]
    left_out: tuple[str, ...]
    problems: tuple[str, ...]


def rename(
    state: Mapping[str, Any], naming: Naming, *, keep_heads: bool = False
) -> Renaming:
    """Gives the tensors of a state their official names.

    Args:
        state: Arrays by name, without wrappers and prefixes.
        naming: Whose names they are.
        keep_heads: Whether the heads of dense models are kept, under the
            names that they have, which all code bases share.

    Returns:
        A `Renaming`. Every name of `state` is used once, left out by a rule,
        or the subject of a problem.
    """
    rows = [(_compile(row.source), row) for row in TABLES[naming]]
    dense = is_dense(state)
    result: dict[str, np.ndarray] = {}
    left_out, problems = [], []
    for name in state:
        if _ignored(name, dense, keep_heads):
            left_out.append(name)
            continue
        if name.startswith(DENSE_HEADS):
            result[name] = state[name]
            continue
        try:
            named = _rename_tensor(name, state[name], rows)
        except ValueError as error:
            problems.append(f"{name}: {error}")
            continue
        problems += [
            f"{name}: another tensor is {official} already"
            for official in named
            if official in result
        ]
        result.update(named)
    return Renaming(result, tuple(left_out), tuple(problems))


def match_count(names: Mapping[str, Any], naming: Naming) -> int:
    """Returns how many names a table knows.

    Args:
        names: Names without wrappers and prefixes.
        naming: Whose table is asked.

    Returns:
        A count.
    """
    patterns = [_compile(row.source) for row in TABLES[naming]]
    return sum(
        any(pattern.fullmatch(name) for pattern in patterns) for name in names
    )


def is_dense(names: Mapping[str, Any]) -> bool:
    """Returns whether a state belongs to segmentation or detection.

    Args:
        names: Names without wrappers and prefixes.

    Returns:
        Whether there are dense heads, or norms between the stages.
    """
    return any(name.startswith((*DENSE_HEADS, "norm_list.")) for name in names)


def _ignored(name: str, dense: bool, keep_heads: bool) -> bool:
    prefixes = () if keep_heads else DENSE_HEADS
    if dense:
        prefixes += UNUSED_IN_DENSE
    return name.endswith(IGNORED_SUFFIXES) or name.startswith(prefixes)


def _compile(template: str) -> re.Pattern[str]:
    pattern = _FIELD.sub(
        lambda match: f"(?P<{match[1]}>{_FIELDS[match[1]]})",
        re.escape(template),
    )
    return re.compile(pattern)


def _rename_tensor(
    name: str, values: Any, rows: list[tuple[re.Pattern[str], Row]]
) -> dict[str, np.ndarray]:
    if not isinstance(values, np.ndarray):
        raise ValueError(f"not a tensor but a {type(values).__name__}")
    if values.ndim == 0:
        raise ValueError("a single number, not a tensor")
    for pattern, row in rows:
        match = pattern.fullmatch(name)
        if match is not None:
            names = [
                official.format(**match.groupdict())
                for official in row.official
            ]
            return dict(zip(names, row.transform(values), strict=True))
    raise ValueError("an unknown name")


def restore(
    state: Mapping[str, np.ndarray], naming: Naming
) -> dict[str, np.ndarray]:
    """Gives a state the names of a code base, undoing `rename`.

    Args:
        state: Arrays by official name; the heads of dense models keep theirs.
        naming: Whose names are wanted.

    Returns:
        Arrays by the names of `naming`, without its prefix `backbone.`.

    Raises:
        ValueError: If a tensor has no name there.
    """
    rows = TABLES[naming]
    result: dict[str, np.ndarray] = {}
    for name in state:
        if name.startswith(DENSE_HEADS):
            result[name] = state[name]
            continue
        fitting = [
            found
            for row in rows
            if (found := _restore_tensor(name, state, row)) is not None
        ]
        if not fitting:
            raise ValueError(f"{name!r} has no name in {naming!r} naming.")
        # The last: rows with a condition follow those without.
        result.update(fitting[-1])
    return result


def _restore_tensor(
    name: str, state: Mapping[str, np.ndarray], row: Row
) -> dict[str, np.ndarray] | None:
    """Returns the tensor of a row that `name` is a part of."""
    for template in row.official:
        match = _compile(template).fullmatch(name)
        if match is None:
            continue
        fields = match.groupdict()
        if row.beside.format(**fields) not in {"", *state}:
            return None
        parts = [state[part.format(**fields)] for part in row.official]
        return {row.source.format(**fields): row.undo(parts)}
    return None
