"""Random numbers that come from the backend's own generators."""

from collections.abc import Sequence

import keras
import numpy as np


def generator_states() -> list[np.ndarray]:
    """Returns the states of generators that are no variables of Keras.

    On PyTorch, `keras.layers.Dropout` without a seed draws from PyTorch's
    generator of the device; the other backends have none of this kind.

    Returns:
        Arrays of bytes; none if there is no such generator.
    """
    if keras.backend.backend() != "torch":
        return []
    import torch

    states = [torch.get_rng_state()]
    if torch.cuda.is_available():
        states.append(torch.cuda.get_rng_state())
    return [state.numpy() for state in states]


def set_generator_states(states: Sequence[np.ndarray]) -> None:
    """Sets what `generator_states` returned.

    Where there are other devices than there were, their generators stay as
    they are.

    Args:
        states: The states.
    """
    if keras.backend.backend() != "torch" or not states:
        return
    import torch

    first, *others = [torch.from_numpy(np.array(state)) for state in states]
    torch.set_rng_state(first)
    if others and torch.cuda.is_available():
        torch.cuda.set_rng_state(others[0])
