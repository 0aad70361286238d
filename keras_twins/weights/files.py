"""Files that appear under their name complete, or not at all."""

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator


@contextlib.contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary path that takes the place of `path` at the end.

    The temporary file lies in the same folder, so the last step is one
    atomic rename. Its name is unique, so several processes may write the same
    file at once: the last one wins, and each one's file is complete. After an
    exception, `KeyboardInterrupt` included, the temporary file is gone and
    `path` is as it was.

    Args:
        path: The file to create or to replace.

    Yields:
        pathlib.Path: The temporary file, which does not exist yet.
    """
    path = pathlib.Path(path)
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(f"{path.name}.{unique}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
