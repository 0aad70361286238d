"""What lies behind the digits: photographs, textures, and clutter on them."""

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from keras_twins.data.scene_drawing import Canvas
from keras_twins.data.scene_drawing import random_colors

_Texture = Callable[
    [np.random.Generator, int, Sequence[np.ndarray]], np.ndarray
]

_MOST_NOISE = 12.0
"""Largest standard deviation of the noise of a pixel."""

_DARKNESS = 0.5
"""What the light of a dark background is multiplied by."""

_MOST_CLUTTER = 4
"""Most strokes, and most discs and boxes, of a scene."""


def draw_background(
    rng: np.random.Generator,
    size: int,
    photographs: Sequence[np.ndarray],
    dark: bool = False,
) -> Canvas:
    """Returns a canvas without digits: a texture and clutter on it.

    Args:
        rng: Source of the random numbers.
        size: Height and width in pixels.
        photographs: Pictures of shape `(height, width, 3)` to cut from.
        dark: Whether it is dark, for digits that are light.

    Returns:
        The canvas, of shape `(size, size, 3)`.
    """
    texture = _TEXTURES[rng.integers(len(_TEXTURES))]
    canvas = Canvas(texture(rng, size, photographs))
    noise = rng.standard_normal(canvas.image.shape, "float32")
    canvas.image += np.float32(rng.uniform(0, _MOST_NOISE)) * noise
    for _ in range(rng.integers(_MOST_CLUTTER + 1)):
        _add_stroke(rng, canvas)
    for _ in range(rng.integers(_MOST_CLUTTER + 1)):
        _add_shape(rng, canvas)
    if not dark:
        return canvas
    image = canvas.image.clip(0, 255) * np.float32(_DARKNESS)
    return Canvas(image, lightest=True)


def _photograph(
    rng: np.random.Generator, size: int, photographs: Sequence[np.ndarray]
) -> np.ndarray:
    """Cuts a square from a photograph, in brighter or darker light."""
    photograph = photographs[int(rng.integers(len(photographs)))]
    most = min(photograph.shape[:2])
    side = rng.integers(most // 3, most + 1)
    top, left = rng.integers(np.subtract(photograph.shape[:2], side) + 1)
    square = photograph[top : top + side, left : left + side]
    return np.float32(rng.uniform(0.6, 1.2)) * _stretch(square, size)


def _blotches(
    rng: np.random.Generator, size: int, photographs: Sequence[np.ndarray]
) -> np.ndarray:
    """Lets a few random colours flow into each other."""
    del photographs
    side = int(rng.integers(2, 9))
    return _stretch(
        random_colors(rng, side * side).reshape(side, side, 3), size
    )


def _stripes(
    rng: np.random.Generator, size: int, photographs: Sequence[np.ndarray]
) -> np.ndarray:
    """Lets two colours alternate along a random direction."""
    del photographs
    along, _ = _turned(rng, size, 0.0, 0.0)
    waves = rng.uniform(1, 12) / size
    share = 0.5 + 0.5 * np.sin(np.float32(2 * np.pi * waves) * along)
    first, second = random_colors(rng, 2)
    return first + share[..., None] * (second - first)


_TEXTURES: tuple[_Texture, ...] = (_photograph, _blotches, _stripes)


def _stretch(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes a square image bilinearly, corners on corners."""
    at = np.linspace(0, len(image) - 1, size)
    low = np.minimum(at.astype(int), len(image) - 2)
    share = (at - low).astype("float32")[:, None, None]
    image = image.astype("float32")
    for _ in range(2):
        # Rows first, and then what were the columns.
        image = (1 - share) * image[low] + share * image[low + 1]
        image = image.swapaxes(0, 1)
    return image


def _turned(
    rng: np.random.Generator, size: int, row: float, column: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns coordinates about a point, turned by a random angle."""
    y, x = np.mgrid[:size, :size].astype("float32")
    angle = rng.uniform(0, np.pi)
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    y, x = y - np.float32(row), x - np.float32(column)
    return cosine * x + sine * y, cosine * y - sine * x


def _add_stroke(rng: np.random.Generator, canvas: Canvas) -> None:
    """Adds a thin line that is longer than any digit."""
    size = len(canvas.image)
    half = (rng.uniform(0.3, 0.8) * size, rng.uniform(0.5, 1.5))
    _add_box(rng, canvas, half)


def _add_shape(rng: np.random.Generator, canvas: Canvas) -> None:
    """Adds a filled disc or box."""
    size = len(canvas.image)
    half = rng.uniform(0.04, 0.2, 2) * size
    if rng.integers(2):
        _add_box(rng, canvas, half)
        return
    u, v = _turned(rng, size, *rng.uniform(0, size, 2))
    _fill(rng, canvas, np.hypot(u, v) - half[0])


def _add_box(
    rng: np.random.Generator, canvas: Canvas, half: Sequence[float] | np.ndarray
) -> None:
    u, v = _turned(
        rng, len(canvas.image), *rng.uniform(0, len(canvas.image), 2)
    )
    _fill(rng, canvas, np.maximum(abs(u) - half[0], abs(v) - half[1]))


def _fill(
    rng: np.random.Generator, canvas: Canvas, distance: np.ndarray
) -> None:
    """Fills where the signed distance from the edge is negative."""
    coverage = np.clip(0.5 - distance, 0, 1).astype("float32")
    canvas.cover(coverage, random_colors(rng, 1)[0], 0, 0)
