"""sha256 of files, checked against what is published or was recorded.

For a file whose full digest nobody published, the digest of the first copy is
recorded beside it and enforced from then on.
"""

import hashlib
import os
import pathlib

from keras_twins.weights.files import replace_file
from keras_twins.weights.registry import Source

CHUNK = 1 << 20


def file_digest(path: str | os.PathLike[str]) -> str:
    """Returns the sha256 of a file in hexadecimal.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def record_path(path: pathlib.Path) -> pathlib.Path:
    """Returns where the digest of a file without a full pin is recorded."""
    return path.with_name(path.name + ".sha256")


def find_fault(source: Source, path: pathlib.Path, digest: str) -> str | None:
    """Returns why a file is not the source's, or `None` if it may be.

    Args:
        source: Where the file comes from.
        path: Where the file lies, or will lie, in the cache.
        digest: The sha256 of the file.

    Returns:
        A sentence for an error message, or `None`.
    """
    if not source.accepts(digest):
        known = source.sha256 or f"{source.sha256_prefix}..."
        return f"expected sha256 {known}, got {digest}"
    record = record_path(path)
    if source.sha256 is None and record.exists():
        recorded = record.read_text(encoding="ascii", errors="replace").strip()
        if recorded != digest:
            return (
                f"expected sha256 {recorded!r}, which was recorded in {record} "
                f"when the file was first fetched, got {digest}; if the file "
                f"is known to have changed, delete {record.name}"
            )
    return None


def record_digest(source: Source, path: pathlib.Path, digest: str) -> None:
    """Records the digest of a file whose full digest is not published.

    Args:
        source: Where the file comes from.
        path: Where the file lies, or will lie, in the cache.
        digest: The sha256 of the file.
    """
    record = record_path(path)
    if source.sha256 is None and not record.exists():
        with replace_file(record) as temporary:
            temporary.write_text(digest + "\n", encoding="ascii")
