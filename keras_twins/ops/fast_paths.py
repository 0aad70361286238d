"""The switch between fast paths and the plain operations of Keras."""

import contextlib
import contextvars
import os
from collections.abc import Iterator

import keras

from keras_twins.ops.tensors import Tensor

_VARIABLE = "KERAS_TWINS_FAST_PATHS"
_chosen: contextvars.ContextVar[bool | None] = contextvars.ContextVar(
    "keras_twins_fast_paths", default=None
)


def fast_paths_enabled() -> bool:
    """Returns whether the fast paths of the running backend are taken.

    Returns:
        What `fast_paths` says, or else the environment: false if
        `KERAS_TWINS_FAST_PATHS` is `0`.
    """
    chosen = _chosen.get()
    return os.environ.get(_VARIABLE) != "0" if chosen is None else chosen


@contextlib.contextmanager
def fast_paths(enabled: bool) -> Iterator[None]:
    """Switches the fast paths on or off for what is called, or traced, inside.

    The fast paths compute the same numbers, up to rounding, in the way that
    is fast on the running backend. Without them, layers use nothing but the
    operations of `keras.ops`. Reasons to do without: to compare, to find a
    fault, or to differentiate in forward mode on JAX, whose fast gradients
    are defined for reverse mode.

    A function that is compiled already keeps the paths it was traced with.
    Threads that start inside, such as those of `tf.distribute`, do not see
    the switch; the environment variable `KERAS_TWINS_FAST_PATHS=0` holds for
    the whole process.

    Args:
        enabled: Whether fast paths are taken.

    Yields:
        Nothing.

    Example:

    ```python
    from keras_twins import ops

    model = keras_twins.TwinsSVTSmall(weights=None)
    images = keras.random.uniform((1, 224, 224, 3), maxval=255)
    with ops.fast_paths(False):
        plain = model(images)
    ```
    """
    token = _chosen.set(enabled)
    try:
        yield
    finally:
        _chosen.reset(token)


def runs_on_cpu(x: Tensor) -> bool:
    """Returns whether what is computed with a tensor runs on a CPU.

    Args:
        x: A tensor of the running backend.

    Returns:
        Whether its device, or else the backend's default one, is a CPU.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return keras.ops.convert_to_tensor(x).device.type == "cpu"
    if backend == "jax":
        import jax

        return jax.default_backend() == "cpu"
    import tensorflow as tf

    return not (
        tf.config.list_logical_devices("GPU")
        or tf.config.list_logical_devices("TPU")
    )
