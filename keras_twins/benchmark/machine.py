"""What a benchmark ran on."""

import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Mapping
from collections.abc import Sequence

from keras_twins.version import __version__

_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
_VECTORS = frozenset({"avx2", "avx512f", "avx512_vnni", "asimd", "sve"})


def describe_machine() -> dict[str, str]:
    """Returns processor, instructions, number of cores and system."""
    return {
        "processor": _processor(),
        "instructions": ", ".join(_instructions()) or "unknown",
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
    for name, value in _cpu_facts():
        if name == "model name":
            return value
    return platform.processor() or platform.machine()


def computes_bfloat16() -> bool:
    """Returns whether bfloat16 is more than emulated here.

    Without such instructions, PyTorch takes minutes for a batch.

    Returns:
        True with an NVIDIA GPU, and where the system does not say
        what the processor can do.
    """
    known = _flags()
    if not known or known & _BFLOAT16:
        return True
    return _sees_gpu()


def _sees_gpu() -> bool:
    return any(pathlib.Path("/dev").glob("nvidia[0-9]*"))


def _instructions() -> list[str]:
    """Returns what matters for matrix products, of what the CPU can do."""
    return sorted(_flags() & (_VECTORS | _BFLOAT16))


def _flags() -> set[str]:
    for name, value in _cpu_facts():
        if name in ("flags", "Features"):
            return set(value.split())
    return set()


def _cpu_facts() -> list[tuple[str, str]]:
    """Returns the lines of what Linux knows of its processors."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    pairs = (line.partition(":")[::2] for line in lines)
    return [(name.strip(), value.strip()) for name, value in pairs]


def count_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    """Returns a version, also where the distribution has another name."""
    names = importlib.metadata.packages_distributions().get(package, [])
    return importlib.metadata.version(names[0]) if names else "unknown"
