"""One file over HTTP, with its sha256 taken on the way."""

import contextlib
import hashlib
import http.client
import os
import pathlib
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import keras

from keras_twins.version import __version__
from keras_twins.weights.digests import CHUNK
from keras_twins.weights.registry import Source


class SourceFailedError(Exception):
    """One source failed; the next may not."""


def transfer(
    source: Source, path: pathlib.Path, timeout: float, progress: bool
) -> str:
    """Writes what a source sends to a file, and checks its length.

    Args:
        source: Where to get it.
        path: The file to create.
        timeout: Seconds without an answer after which the source has failed.
        progress: Whether to show a progress bar.

    Returns:
        The sha256 of the file in hexadecimal.

    Raises:
        SourceFailedError: If the source cannot be reached, breaks off, or
            sends something of another length. An `OSError` means that the
            file cannot be written.
    """
    digest, received = hashlib.sha256(), 0
    with (
        _open(source.resolve_url(), timeout) as response,
        open(path, "xb") as f,
    ):
        length = _content_length(response)
        if source.size is not None and length not in (None, source.size):
            raise SourceFailedError(
                f"expected {source.size} bytes, the server announces {length}"
            )
        expected = source.size or length
        bar = _progress_bar(source, expected) if progress else None
        while chunk := _read(response):
            f.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            if expected is not None and received > expected:
                break
            if bar is not None:
                bar.update(received, finalize=received == expected)
        f.flush()
        os.fsync(f.fileno())
    if expected is not None and received != expected:
        raise SourceFailedError(
            f"expected {expected} bytes, got {received}"
            + (" or more" if received > expected else "; it broke off")
        )
    if not received:
        raise SourceFailedError("the file is empty")
    return digest.hexdigest()


@contextlib.contextmanager
def _network() -> Iterator[None]:
    """Turns what a network can do into a reason to try the next source."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise SourceFailedError(reason) from error


@contextlib.contextmanager
def _open(url: str, timeout: float) -> Iterator[Any]:
    agent = {"User-Agent": f"keras-twins/{__version__}"}
    with _network():
        if not url.startswith(("https://", "http://")):
            raise ValueError("an address must start with https:// or http://")
        request = urllib.request.Request(url, headers=agent)
        response = urllib.request.urlopen(request, timeout=timeout)
    with response:
        yield response


def _read(response: Any) -> bytes:
    with _network():
        return response.read(CHUNK)


def _content_length(response: Any) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _progress_bar(source: Source, length: int | None) -> keras.utils.Progbar:
    print(f"Downloading {source.resolve_url()}", file=sys.stderr)
    return keras.utils.Progbar(length, interval=0.5)
