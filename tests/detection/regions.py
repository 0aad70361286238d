"""RoIAlign as it is defined, sample by sample, for tests only."""

import math
import pathlib

import numpy as np

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "units_mm.npz"


def golden_maps():
    """Returns the maps of the recorded cases, the finest first."""
    return [
        np.random.Generator(np.random.PCG64(7400 + i))
        .standard_normal((2, 8, 64 >> i, 80 >> i), dtype=np.float32)
        .transpose(0, 2, 3, 1)
        for i in range(4)
    ]


def pooled(cells, box, bins, scale=1.0, ratio=0, aligned=True):
    """Returns what lies in a box of a map `(height, width, channels)`."""
    # Where samples are, and how many, depends on rounding to float32.
    x1, y1, x2, y2 = np.asarray(box, "float32") * np.float32(scale)
    result = np.zeros((bins, bins, cells.shape[-1]))
    rows = _samples(y1, y2, bins, ratio, aligned)
    columns = _samples(x1, x2, bins, ratio, aligned)
    for i, j in np.ndindex(bins, bins):
        samples = [_bilinear(cells, y, x) for y in rows[i] for x in columns[j]]
        result[i, j] = np.sum(samples, axis=0) / max(len(samples), 1)
    return result


def _samples(low, high, bins, ratio, aligned):
    size = max(high - low, np.float32(0 if aligned else 1))
    step = np.float32(size / np.float32(bins))
    start = low - (0.5 if aligned else 0)
    count = ratio or math.ceil(step)
    return [
        [float(start) + (i + (k + 0.5) / count) * step for k in range(count)]
        for i in range(bins)
    ]


def _bilinear(cells, y, x):
    height, width = cells.shape[:2]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(cells.shape[-1])
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    y, x = y - top, x - left
    upper = (1 - x) * cells[top, left] + x * cells[top, right]
    lower = (1 - x) * cells[bottom, left] + x * cells[bottom, right]
    return (1 - y) * upper + y * lower
