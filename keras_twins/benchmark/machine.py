"""What a benchmark ran on."""

import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Mapping
from collections.abc import Sequence

from keras_twins.version import __version__


def describe_machine() -> dict[str, str]:
    """Returns processor, number of cores and system, by name."""
    return {
        "processor": _processor(),
        "cores": str(count_cores()),
        "system": f"{platform.system()} {platform.machine()}",
    }


def describe_versions(backends: Sequence[str]) -> dict[str, str]:
    """Returns the versions of Python, of the package, Keras and backends.

    Args:
        backends: Keras backends.

    Returns:
        Versions by name.
    """
    return {
        "Python": platform.python_version(),
        "keras-twins": __version__,
        **{name: _version(name) for name in ("keras", "numpy", *backends)},
    }


def join_facts(facts: Mapping[str, str]) -> str:
    """Returns a sentence that names machine and versions.

    Args:
        facts: What they are, by name.

    Returns:
        One sentence.
    """
    named = ", ".join(f"{name} {fact}" for name, fact in facts.items())
    return f"Measured with {named}."


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def count_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    """Returns a version, also where the distribution has another name."""
    names = importlib.metadata.packages_distributions().get(package, [])
    return importlib.metadata.version(names[0]) if names else "unknown"
