"""Drawing in NumPy: how the scenes of digits are put together."""

import dataclasses

import numpy as np

INK_THRESHOLD = 0.5
"""Ink, from 0 to 1, where a digit ends."""

_CELLS = 8
"""Scikit-learn's digits have 8x8 cells: the finest detail there is."""

_TRIES = 20
"""Places that are tried for a digit before it is left out."""

_LIGHT = 170.0
"""Smallest value of a channel of a light digit."""

_COLORS = 4
"""Colours to choose from: the one farthest from what is behind is taken."""


@dataclasses.dataclass(eq=False)
class Canvas:
    """A picture in the making, and which digit each pixel belongs to.

    Args:
        image: Background of shape `(size, size, 3)`, floats in `[0, 255]`;
            drawn on in place.
        lightest: Whether the digits are to be lighter than any background.
    """

    image: np.ndarray
    lightest: bool = False

    def __post_init__(self) -> None:
        self.owner = np.full(self.image.shape[:2], -1, "int8")
        self.labels: list[int] = []
        self._areas = np.zeros(0, int)

    def cover(
        self, coverage: np.ndarray, color: np.ndarray, top: int, left: int
    ) -> None:
        """Blends a colour into the picture.

        Args:
            coverage: Share of each pixel that is covered, `(height, width)`.
            color: Red, green and blue in `[0, 255]`.
            top: First row.
            left: First column.
        """
        height, width = coverage.shape
        window = self.image[top : top + height, left : left + width]
        touched = coverage > 0
        behind = window[touched]
        window[touched] += coverage[touched][:, None] * (color - behind)

    def add_digit(
        self,
        label: int,
        coverage: np.ndarray,
        color: np.ndarray,
        top: int,
        left: int,
    ) -> None:
        """Draws a digit over what is there, in the picture and in `owner`.

        Args:
            label: The digit, 0 to 9.
            coverage: Share of each pixel that is covered, `(height, width)`.
            color: Red, green and blue in `[0, 255]`.
            top: First row.
            left: First column.
        """
        self.cover(coverage, color, top, left)
        inside = coverage >= 0.5
        self._owners(coverage.shape, top, left)[inside] = len(self.labels)
        self.labels.append(label)
        self._areas = np.append(self._areas, inside.sum())

    def scatter_digit(
        self,
        rng: np.random.Generator,
        label: int,
        coverage: np.ndarray,
        max_overlap: float,
    ) -> None:
        """Draws a digit at a random place and in a random colour.

        Where every place hides more than `max_overlap` of an earlier digit,
        the digit is left out.

        Args:
            rng: Source of the random numbers.
            label: The digit, 0 to 9.
            coverage: Share of each pixel that is covered, `(height, width)`.
            max_overlap: Largest fraction of an earlier digit that all later
                ones hide together.
        """
        inside = coverage >= 0.5
        visible = self._counts(self.owner)
        for _ in range(_TRIES):
            top, left = rng.integers(
                np.subtract(self.owner.shape, coverage.shape) + 1
            )
            behind = self._owners(coverage.shape, top, left)[inside]
            hidden = self._areas - visible + self._counts(behind)
            if (hidden <= max_overlap * self._areas).all():
                color = self._color(rng, inside, top, left)
                self.add_digit(label, coverage, color, top, left)
                return

    def _owners(
        self, shape: tuple[int, ...], top: int, left: int
    ) -> np.ndarray:
        return self.owner[top : top + shape[0], left : left + shape[1]]

    def _counts(self, owners: np.ndarray) -> np.ndarray:
        """Returns how many pixels each digit has among `owners`."""
        counts = np.bincount(owners.ravel() + 1, minlength=len(self.labels) + 1)
        return counts[1:]

    def _color(
        self, rng: np.random.Generator, inside: np.ndarray, top: int, left: int
    ) -> np.ndarray:
        if self.lightest:
            return random_colors(rng, 1, _LIGHT)[0]
        height, width = inside.shape
        window = self.image[top : top + height, left : left + width]
        colors = random_colors(rng, _COLORS)
        distance = np.abs(colors - window[inside].mean(axis=0)).sum(axis=1)
        return colors[distance.argmax()]


def random_colors(
    rng: np.random.Generator, count: int, least: float = 0.0
) -> np.ndarray:
    """Draws colours.

    Args:
        rng: Source of the random numbers.
        count: Number of colours.
        least: Smallest value of a channel.

    Returns:
        Red, green and blue of shape `(count, 3)`, float32 in `[0, 255]`.
    """
    return rng.uniform(least, 255, (count, 3)).astype("float32")


def bilinear(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Samples an image; what is outside of it is 0.

    Args:
        image: Image of shape `(height, width, ...)`.
        y: Rows, an array of any shape; 0 is the centre of the first row.
        x: Columns, of the same shape.

    Returns:
        Samples of the shape of `y` and of the image's trailing axes, float32.
    """
    height, width = image.shape[:2]
    border = [(1, 2), (1, 2)] + [(0, 0)] * (image.ndim - 2)
    padded = np.pad(image.astype("float32"), border)
    y = np.clip(y + 1, 0, height + 1).astype("float32")
    x = np.clip(x + 1, 0, width + 1).astype("float32")
    top, left = y.astype(int), x.astype(int)
    trailing = (...,) + (None,) * (image.ndim - 2)
    down, right = (y - top)[trailing], (x - left)[trailing]
    above = (1 - right) * padded[top, left] + right * padded[top, left + 1]
    top += 1
    below = (1 - right) * padded[top, left] + right * padded[top, left + 1]
    return (1 - down) * above + down * below


def digit_coverage(ink: np.ndarray, size: int, angle: float) -> np.ndarray:
    """Renders a digit: how much of each pixel its strokes cover.

    Args:
        ink: Square picture of the digit, floats from 0 to 1 (ink).
        size: Height and width of the picture when drawn, in pixels.
        angle: Rotation in radians.

    Returns:
        Coverage in `[0, 1]`, float32, cut to the pixels that are touched.
    """
    side = int(np.ceil(size * (abs(np.sin(angle)) + abs(np.cos(angle))))) + 2
    at = np.arange(side) - (side - 1) / 2
    y, x = at[:, None], at
    scale, centre = len(ink) / size, (len(ink) - 1) / 2
    sine, cosine = scale * np.sin(angle), scale * np.cos(angle)
    found = bilinear(
        ink, cosine * y - sine * x + centre, sine * y + cosine * x + centre
    )
    # Ink changes over a cell, `size / 8` pixels; an edge is one pixel wide.
    slope = size / _CELLS
    coverage = np.clip((found - INK_THRESHOLD) * slope + 0.5, 0, 1)
    rows = np.flatnonzero(coverage.any(axis=1))
    columns = np.flatnonzero(coverage.any(axis=0))
    return coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
