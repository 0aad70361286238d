"""The backend that a command is asked for."""

import argparse
import os
import sys
from collections.abc import Sequence

BACKENDS = ("tensorflow", "jax", "torch")
"""What `--backend` takes."""

_VARIABLE = "KERAS_BACKEND"


def add_backend(sub: argparse.ArgumentParser) -> None:
    """Adds `--backend`.

    Args:
        sub: A command.
    """
    sub.add_argument(
        "--backend",
        choices=BACKENDS,
        help=f"default: that of the environment variable {_VARIABLE}",
    )


def switch_backend(
    arguments: argparse.Namespace, argv: Sequence[str] | None
) -> None:
    """Starts the command anew if it is asked for another backend.

    Keras takes its backend when it is imported, which has happened by now.

    Args:
        arguments: `backend`, if the command has it.
        argv: Arguments of the command; by default, those of the process.
    """
    wanted = getattr(arguments, "backend", None)
    if wanted is None:
        return
    import keras

    if keras.backend.backend() == wanted:
        return
    given = sys.argv[1:] if argv is None else list(argv)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(
        sys.executable,
        [sys.executable, "-m", "keras_twins", *given],
        {**os.environ, _VARIABLE: wanted},
    )
