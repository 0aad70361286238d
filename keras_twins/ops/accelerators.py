"""Who may use the accelerators of a machine."""

import contextlib

import keras


def leave_accelerators_to_keras() -> None:
    """Hides accelerators from TensorFlow where it only reads data.

    Otherwise it takes most of the memory of a GPU as soon as it has a tensor,
    beside the backend that trains. Where TensorFlow was used before, nothing
    changes.
    """
    if keras.backend.backend() == "tensorflow":
        return
    import tensorflow as tf

    for kind in ("GPU", "TPU"):
        # Devices that are in use cannot be hidden any more.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], kind)
