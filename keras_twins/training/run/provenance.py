"""What a training was run with."""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import keras

from keras_twins.version import __version__
from keras_twins.weights.files import replace_file

_PACKAGES = ("keras", "numpy", "tensorflow", "jax", "jaxlib", "torch")
_SECONDS = 10


def describe_run() -> dict[str, Any]:
    """Returns what this process runs, on what, and from where.

    Returns:
        `started`, `command`, `versions`, `backend`, `devices`, `system` and,
        in a checkout of git, `revision`.
    """
    facts = {
        "started": datetime.datetime.now(datetime.UTC).isoformat(
            timespec="seconds"
        ),
        "command": [pathlib.Path(sys.executable).name, *sys.argv],
        "versions": _versions(),
        "backend": keras.backend.backend(),
        "devices": _devices(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    revision = find_revision(pathlib.Path(__file__).parent)
    return facts if revision is None else {**facts, "revision": revision}


def write_provenance(
    path: str | os.PathLike[str], configuration: Mapping[str, Any]
) -> None:
    """Writes what a training does, and notes this start of it.

    Args:
        path: The file; earlier starts in it stay.
        configuration: What the training does, whatever JSON can hold.

    Example:

    ```python
    import pathlib
    import tempfile

    from keras_twins.training.run import write_provenance

    with tempfile.TemporaryDirectory() as folder:
        write_provenance(pathlib.Path(folder) / "run.json", {"epochs": 300})
    ```
    """
    facts = {
        "configuration": dict(configuration),
        "starts": [*_earlier_starts(pathlib.Path(path)), describe_run()],
    }
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(facts, indent=2, default=str) + "\n")


def find_revision(folder: pathlib.Path) -> str | None:
    """Returns the revision of a checkout of git.

    Args:
        folder: A folder of it.

    Returns:
        The revision, with `-dirty` after it if files were changed; `None`
        outside of a checkout or without git.
    """
    command = ["git", "-C", str(folder)]
    # A package that was installed may lie in the checkout of something else.
    tracked = _output([*command, "ls-files", "."])
    if not tracked:
        return None
    return _output(
        [*command, "describe", "--always", "--dirty", "--abbrev=40"]
        + ["--exclude=*"]
    )


def _output(command: list[str]) -> str | None:
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip() or None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "keras-twins": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _devices() -> list[str]:
    try:
        return list(keras.distribution.list_devices())
    except (AttributeError, NotImplementedError):
        # Keras cannot list those of PyTorch.
        return [str(keras.ops.zeros(1).device)]


def _earlier_starts(path: pathlib.Path) -> list[Any]:
    try:
        return list(json.loads(path.read_text())["starts"])
    except (OSError, ValueError, LookupError, TypeError):
        return []
