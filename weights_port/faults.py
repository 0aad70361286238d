"""What is wrong with tensors whose names and shapes are known."""

from collections.abc import Mapping

import numpy as np

from weights_port.shapes import Shape


def find_faults(
    state: Mapping[str, np.ndarray], expected: Mapping[str, Shape]
) -> list[str]:
    """Compares names, shapes and values with what is expected.

    Args:
        state: Arrays by name.
        expected: Shapes by name.

    Returns:
        A sentence for each fault.
    """
    faults = [
        f"{name}: missing, expected the shape {shape}"
        for name, shape in expected.items()
        if name not in state
    ]
    for name, values in state.items():
        fault = _find_fault(values, expected.get(name))
        if fault is not None:
            faults.append(f"{name}: {fault}")
    return faults


def _find_fault(values: np.ndarray, shape: Shape | None) -> str | None:
    if shape is None:
        return f"not part of the architecture, shape {values.shape}"
    if values.shape != shape:
        return f"expected the shape {shape}, got {values.shape}"
    if values.dtype.kind in "iubcOSU":
        return f"expected floating-point numbers, got {values.dtype}"
    unfit = values.size - int(np.isfinite(values).sum())
    return f"{unfit} numbers are not finite" if unfit else None
