"""Published weights, fetched once and verified every time.

A file is downloaded to a temporary name, its sha256 is checked, and only then
does it appear in the cache; nothing here parses it.
"""

import contextlib
import os
import pathlib
import warnings

from keras_twins.weights.digests import file_digest
from keras_twins.weights.digests import find_fault
from keras_twins.weights.digests import record_digest
from keras_twins.weights.errors import WeightsDownloadError
from keras_twins.weights.files import replace_file
from keras_twins.weights.registry import SOURCES
from keras_twins.weights.registry import Source
from keras_twins.weights.transfer import SourceFailedError
from keras_twins.weights.transfer import transfer

TIMEOUT = 30.0
"""Seconds without an answer after which a source counts as unreachable."""


def cache_folder() -> pathlib.Path:
    """Returns the folder of downloaded weights.

    Returns:
        `models/keras_twins` in the folder that the environment variable
        `KERAS_HOME` names, by default `~/.keras`.
    """
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    return pathlib.Path(home).expanduser() / "models" / "keras_twins"


def fetch_weights(
    variant: str,
    *,
    folder: str | os.PathLike[str] | None = None,
    timeout: float = TIMEOUT,
    progress: bool = True,
) -> pathlib.Path:
    """Returns the file with the published weights of a variant.

    A verified file in the cache is used without any network. Otherwise the
    variant's sources are tried in order.

    Args:
        variant: A key of `keras_twins.VARIANTS`, such as `"svt_base"`.
        folder: Cache folder; by default `models/keras_twins` in Keras' own.
        timeout: Seconds without an answer after which a source has failed.
        progress: Whether to show a progress bar.

    Returns:
        Path of the file in the cache.

    Raises:
        ValueError: If the variant is unknown. `fetch_first` says what else
            can go wrong.
    """
    if variant not in SOURCES:
        raise ValueError(
            f"`variant` must be one of {sorted(SOURCES)}. Received: "
            f"variant={variant!r}"
        )
    return fetch_first(
        SOURCES[variant], folder=folder, timeout=timeout, progress=progress
    )


def fetch_first(
    sources: tuple[Source, ...],
    *,
    folder: str | os.PathLike[str] | None = None,
    timeout: float = TIMEOUT,
    progress: bool = True,
) -> pathlib.Path:
    """Returns the file of the first source that works.

    Args:
        sources: The sources in the order in which they are tried.
        folder: Cache folder; by default `models/keras_twins` in Keras' own.
        timeout: Seconds without an answer after which a source has failed.
        progress: Whether to show a progress bar.

    Returns:
        Path of the file in the cache.

    Raises:
        WeightsDownloadError: If no source works, or the cache folder cannot
            be written.
    """
    folder = pathlib.Path(folder) if folder is not None else cache_folder()
    for source in sources:
        if (cached := _find_cached(source, folder)) is not None:
            return cached
    failures = []
    for source in sources:
        try:
            return _download(source, folder, timeout, progress)
        except SourceFailedError as error:
            failures.append(f"{source.resolve_url()}: {error}")
            if len(failures) < len(sources):
                warnings.warn(
                    f"Weights could not be fetched from {failures[-1]}. "
                    "Trying the next source.",
                    stacklevel=3,
                )
    raise WeightsDownloadError(_explain(sources, folder, failures))


def _explain(
    sources: tuple[Source, ...], folder: pathlib.Path, failures: list[str]
) -> str:
    names = " or ".join(source.file_name for source in sources)
    mirror = (
        "; or let the environment variable HF_ENDPOINT name a mirror of "
        "https://huggingface.co"
    )
    mirrored = any(source.mirrored for source in sources)
    return (
        "The published weights could not be fetched from any source:\n  "
        + "\n  ".join(failures)
        + "\nWays out: download one of these files by hand and pass its path "
        f"as `weights=`; or place it in {folder} as {names}"
        f"{mirror if mirrored else ''}."
    )


def _find_cached(source: Source, folder: pathlib.Path) -> pathlib.Path | None:
    path = folder / source.file_name
    if not path.is_file():
        return None
    digest = file_digest(path)
    fault = find_fault(source, path, digest)
    if fault is not None:
        # Left in place until a good file replaces it: another process may
        # just have put one there.
        warnings.warn(
            f"The cached weights {path} are not used: {fault}.", stacklevel=4
        )
        return None
    with contextlib.suppress(OSError):  # a cache may be read-only
        record_digest(source, path, digest)
    return path


def _download(
    source: Source, folder: pathlib.Path, timeout: float, progress: bool
) -> pathlib.Path:
    path = folder / source.file_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as temporary:
            digest = transfer(source, temporary, timeout, progress)
            if (fault := find_fault(source, path, digest)) is not None:
                raise SourceFailedError(fault)
            record_digest(source, path, digest)
    except OSError as error:
        raise WeightsDownloadError(
            f"Weights cannot be stored in the cache folder {folder}: {error}. "
            "Let the environment variable KERAS_HOME name a folder that can "
            "be written and has space."
        ) from error
    if not source.pinned:
        warnings.warn(
            f"No digest was published for {source.resolve_url()}: the file "
            f"could not be compared with one. Its own, {digest}, is recorded "
            f"beside it in {folder} and enforced from now on.",
            stacklevel=4,
        )
    return path
