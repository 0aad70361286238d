"""Errors of data sets, as people read them."""

import contextlib
import importlib
import re
from collections.abc import Iterator


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Turns TensorFlow's errors about data into those that were raised.

    Raises:
        ValueError: Where the reading of a data set raised one.
    """
    errors = importlib.import_module("tensorflow").errors
    try:
        yield
    except errors.OpError as error:
        raise ValueError(_cause(error.message)) from error


def _cause(message: str) -> str:
    """Returns what was raised in Python, out of TensorFlow's report of it."""
    found = re.search(
        r"\bValueError: (.*?)\s*Traceback \(most recent call last\)",
        message,
        re.DOTALL,
    )
    return found[1] if found else message
