"""KerasCV, imported when it is needed."""

import types


def keras_cv_library() -> types.ModuleType:
    """Returns the library.

    Returns:
        The module `keras_cv`.

    Raises:
        ImportError: If it cannot be imported.
    """
    try:
        import keras_cv
    except ImportError as error:
        raise ImportError(
            f"KerasCV cannot be imported ({error}). Install it with "
            '`pip install "keras-twins[cv]"`; it needs TensorFlow on every '
            "backend."
        ) from error
    return keras_cv
