"""Where an artefact goes: what is there, what is replaced, what is kept."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterator

from keras_twins.export.formats import SUFFIXES
from keras_twins.export.formats import Format
from keras_twins.export.report import ExportError

REJECTED = ".rejected"
"""What is added to the name of an artefact that failed its proof."""


def check_target(chosen: Format, target: pathlib.Path, overwrite: bool) -> None:
    """Raises if an artefact cannot go where it should.

    Args:
        chosen: The format.
        target: Where the artefact goes.
        overwrite: Whether an artefact that is there is replaced.

    Raises:
        ValueError: If the name does not fit the format.
        FileExistsError: If something is there that is not replaced.
    """
    if target.name in ("", "..", chosen.suffix):
        raise ValueError(
            f"`path` must name what is made. Received: path={str(target)!r}"
        )
    if not target.name.endswith(chosen.suffix):
        raise ValueError(
            f"`path` must end in {chosen.suffix!r} for format "
            f"{chosen.name!r}. Received: path={str(target)!r}"
        )
    if chosen.marker and target.suffix == pathlib.Path(chosen.marker).suffix:
        raise ValueError(
            f"`path` must be a folder for format {chosen.name!r}, in which "
            f"{chosen.marker!r} is made. Received: path={str(target)!r}"
        )
    if SUFFIXES.get(target.suffix, chosen.name) != chosen.name:
        raise ValueError(
            f"`path` ends in {target.suffix!r}, which is not what the format "
            f"{chosen.name!r} makes. Received: path={str(target)!r}"
        )
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise FileExistsError(
            "`path` exists already; pass `overwrite=True` to replace it. "
            f"Received: path={str(target)!r}"
        )
    if not chosen.is_artifact(target):
        raise FileExistsError(
            f"`path` is no artefact of format {chosen.name!r}: it is not "
            "replaced, even with `overwrite=True`. Received: "
            f"path={str(target)!r}"
        )


@contextlib.contextmanager
def workshop(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a folder beside the target that goes, whatever happens.

    Args:
        target: Where the artefact goes; missing parents are made, and stay
            if it gets there.

    Yields:
        pathlib.Path: The folder.

    Raises:
        OSError: If it cannot be made.
    """
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name}."
        )
    except OSError as error:
        reason = f"`path` cannot be written: {error.strerror}"
        raise OSError(error.errno, reason, str(target)) from error
    try:
        with folder as name:
            yield pathlib.Path(name)
    finally:
        for parent in missing:
            # Those that hold something stay.
            with contextlib.suppress(OSError):
                parent.rmdir()


def put_aside(
    error: ExportError,
    chosen: Format,
    draft: pathlib.Path,
    target: pathlib.Path,
) -> ExportError:
    """Keeps a refused artefact under another name, and says so.

    Args:
        error: Why it is refused.
        chosen: Its format.
        draft: The artefact in its workshop.
        target: Where it would have gone.

    Returns:
        The error to raise.
    """
    kept = target.with_name(target.name + REJECTED)
    if kept.exists() and not chosen.is_artifact(kept):
        return error
    put_in_place(draft, kept)
    report = error.report
    if report is not None:
        report = dataclasses.replace(report, path=kept)
    return ExportError(f"{error} It is kept as {str(kept)!r}.", report)


def put_in_place(draft: pathlib.Path, target: pathlib.Path) -> None:
    """Gives an artefact its name; an older one goes with the workshop.

    Args:
        draft: The artefact in its workshop.
        target: Its name.
    """
    older = draft.with_name(f"{draft.name}.replaced")
    if target.is_dir():
        os.replace(target, older)
    try:
        os.replace(draft, target)
    except BaseException:
        if older.exists():
            os.replace(older, target)
        raise
