"""What the commands on images refuse before anything is loaded."""

import argparse
import os
import pathlib
from collections.abc import Sequence

_MODEL_OPTIONS = ("head", "weights", "classes", "dialect")


def share(text: str) -> float:
    """Returns a number from 0 to 1.

    Args:
        text: The number.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: If the text is no such number.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(
            f"expected a number from 0 to 1. Received: {text}"
        )
    return value


def check_target(
    arguments: argparse.Namespace,
    target: pathlib.Path,
    sources: Sequence[str | os.PathLike[str]] = (),
) -> None:
    """Raises an error if a file cannot be written, or is one that is read.

    Args:
        arguments: Those of the model, and `fail`, which ends the process after
            wrong usage.
        target: The file to write.
        sources: Files that are read, beyond the model's.

    Raises:
        OSError: If it is a folder, or its folder cannot be made or written.
    """
    read = [*sources, arguments.model, arguments.weights or ""]
    if any(_same_file(target, pathlib.Path(source)) for source in read):
        arguments.fail(
            f"{target} is read by this command, and would be replaced. Choose "
            "another name for the result."
        )
    if target.is_dir():
        raise IsADirectoryError(
            "The result needs the name of a file. Received: the folder "
            f"{target}"
        )
    folder = next(x for x in target.absolute().parents if x.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(
            f"{target} cannot be written: {folder} is no folder in which this "
            "process may write."
        )


def check_model_options(arguments: argparse.Namespace, advice: str) -> None:
    """Ends the process if the options of the model do not fit each other.

    Args:
        arguments: Those of the model, and `fail`.
        advice: Which weights there are, as a sentence.
    """
    if not isinstance(arguments.model, pathlib.Path):
        if arguments.weights == "imagenet":
            arguments.fail(
                "--weights imagenet fills the backbone alone; what a random "
                f"head sees means nothing. {advice}"
            )
        return
    given = [
        f"--{name}"
        for name in _MODEL_OPTIONS
        if getattr(arguments, name) is not None
    ]
    if given:
        arguments.fail(
            f"{', '.join(given)}: only for a variant; {arguments.model} has "
            "its own."
        )


def _same_file(target: pathlib.Path, source: pathlib.Path) -> bool:
    if not source.is_file():
        return False
    same = target.resolve() == source.resolve()
    return same or (target.exists() and target.samefile(source))
