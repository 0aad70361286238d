"""What training code wraps around a state dict, taken off."""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins.weights.errors import CheckpointError

# timm's order: averaged weights before the last ones.
WRAPPERS = ("state_dict_ema", "model_ema", "ema", "state_dict", "model")
# DistributedDataParallel, torch.compile, dense models.
PREFIXES = ("module.", "_orig_mod.", "backbone.")
_MAX_WRAPPERS = 4


class RenamedState(Mapping[str, Any]):
    """A state whose tensors have other names; none is read for it.

    Args:
        state: The state.
        names: From the new names to those of `state`.
    """

    def __init__(self, state: Mapping[str, Any], names: Mapping[str, str]):
        self._state = state
        self._names = names

    def __getitem__(self, name: str) -> Any:
        return self._state[self._names[name]]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def unwrap(
    state: Mapping[str, Any],
) -> tuple[Mapping[str, np.ndarray], tuple[str, ...]]:
    """Takes off what training code wraps around a state dict.

    Containers are opened in the order of timm (`state_dict_ema`, `model_ema`,
    `ema`, `state_dict`, `model`), then the prefixes `module.`, `_orig_mod.`
    and `backbone.` are cut off the names that have them.

    Args:
        state: What `read_checkpoint` returns.

    Returns:
        The state, and the names of the containers and prefixes found.

    Raises:
        CheckpointError: If there are no tensors, or two names become one.
    """
    found = []
    # Only dictionaries nest: a safetensors file is flat by construction.
    while isinstance(state, dict) and len(found) < _MAX_WRAPPERS:
        wrapper = _find_wrapper(state)
        if wrapper is None:
            break
        found.append(wrapper)
        state = state[wrapper]
    if isinstance(state, dict) and not _has_tensors(state):
        raise CheckpointError(
            "The weight file holds no tensors at its top level and none of "
            f"the containers {WRAPPERS}. Found: {sorted(state)[:20]}. Pass a "
            "file that holds a state dict."
        )
    for prefix in _find_prefixes(state):
        found.append(prefix)
        state = _cut(state, prefix)
    return state, tuple(found)


def _find_wrapper(state: Mapping[str, Any]) -> str | None:
    for name in WRAPPERS:
        if isinstance(state.get(name), Mapping):
            return name
    return None


def _has_tensors(state: Mapping[str, Any]) -> bool:
    return any(isinstance(value, np.ndarray) for value in state.values())


def _find_prefixes(state: Mapping[str, Any]) -> Iterator[str]:
    """Yields prefixes as long as names start with one, in any nesting."""
    names = list(state)
    for prefix in (*PREFIXES, *PREFIXES[:2]):
        if any(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
            yield prefix


def _cut(state: Mapping[str, Any], prefix: str) -> RenamedState:
    names: dict[str, str] = {}
    for name in state:
        short = name.removeprefix(prefix)
        if short in names:
            raise CheckpointError(
                f"The weight file holds both {names[short]!r} and {name!r}, "
                f"which are one name without the prefix {prefix!r}. Pass a "
                "file that holds one model."
            )
        names[short] = name
    return RenamedState(state, names)
