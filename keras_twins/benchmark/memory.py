"""The memory of this process and of the machine, in bytes."""

import pathlib
import resource
import sys

_STATUS = pathlib.Path("/proc/self/status")


def reset_peak() -> bool:
    """Sets the peak of the memory to what is used now, where Linux can.

    Returns:
        Whether it could.
    """
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_memory(reset: bool) -> int:
    """Returns the largest resident memory.

    Args:
        reset: Whether the peak was reset; if not, it is that of the whole
            life of the process.

    Returns:
        Bytes.
    """
    if reset:
        # Unlike `ru_maxrss`, it knows nothing of the parent process.
        return _field(_STATUS, "VmHWM:")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_memory() -> int:
    """Returns the resident memory; 0 where the system does not tell."""
    return _field(_STATUS, "VmRSS:") if _STATUS.exists() else 0


def available_memory() -> int | None:
    """Returns what new processes can use; `None` if it is not known."""
    path = pathlib.Path("/proc/meminfo")
    return _field(path, "MemAvailable:") if path.exists() else None


def _field(path: pathlib.Path, name: str) -> int:
    return int(path.read_text().partition(name)[2].split()[0]) * 1024
