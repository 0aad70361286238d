"""Scenes of several handwritten digits, with masks and boxes, by seed."""

import numpy as np

from keras_twins.data.digits import Split
from keras_twins.data.digits import load_digits
from keras_twins.data.digits import load_photographs
from keras_twins.data.scene_annotations import DigitScenes
from keras_twins.data.scene_annotations import annotate
from keras_twins.data.scene_backgrounds import draw_background
from keras_twins.data.scene_drawing import Canvas
from keras_twins.data.scene_drawing import digit_coverage

SCENE_CLASSES = ("background", *(f"digit {digit}" for digit in range(10)))
"""Names of the classes of `semantic_masks`: class `d + 1` is the digit `d`."""

_SMALLEST_SCENE = 32
"""Side, in pixels, below which digits have no room."""

_SMALLEST_DIGIT = 8
"""Side, in pixels, of scikit-learn's digits."""

_MOST_DIGITS = 100
"""Largest number of digits of a scene: `Canvas.owner` counts in eight bits."""

_LARGEST_DIGIT = 0.7
"""Side of the largest digits, as a fraction of the scene's: turned by
`_MAX_ROTATION`, they still have room."""

_MAX_ROTATION = 30.0
"""Largest rotation of a digit in degrees."""

_SOURCE_SIZE = 32
"""Side, in pixels, of the digits that are turned and scaled."""

_TRAINING_COLUMNS = 448
"""Training scenes see the photographs left of this column, held-out ones the
rest."""


def load_digit_scenes(
    count: int,
    held_out: bool = False,
    image_size: int = 128,
    digits: tuple[int, int] = (2, 6),
    digit_sizes: tuple[float, float] = (0.2, 0.45),
    max_overlap: float = 0.3,
    light_on_dark: bool = False,
    seed: int = 0,
) -> DigitScenes:
    """Composes scenes of scikit-learn's handwritten digits.

    Each scene has digits of random sizes, rotations and colours over a cut
    from a photograph, a texture, strokes and shapes. A digit that finds no
    place where it hides little enough of the earlier ones is left out.
    Training scenes and held-out ones share neither digits (the
    split is that of `load_digits`) nor parts of the photographs.

    A scene follows from the arguments but `count`, and its index: more scenes
    begin with the same ones.

    Args:
        count: Number of scenes.
        held_out: Whether to use the digits that are held out for testing.
        image_size: Height and width of the scenes in pixels, at least 32.
        digits: Smallest and largest number of digits of a scene.
        digit_sizes: Smallest and largest side of the digits, as fractions of
            the scene's, at most 0.7. No digit is smaller than 8 pixels.
        max_overlap: Largest fraction of a digit that later ones hide, from 0
            to below 1.
        light_on_dark: Whether the digits are light and all behind them is
            dark. Otherwise digits may have any colour, darker ones too, and
            are much harder to learn.
        seed: Seed of the scenes, not negative.

    Returns:
        The scenes, with semantic masks for segmentation and with boxes,
        labels and masks for detection.

    Raises:
        ImportError: If scikit-learn or Pillow is missing.
        ValueError: If an argument is out of range.

    Example:

    ```python
    from keras_twins.data import load_digit_scenes

    scenes = load_digit_scenes(2, image_size=64)
    held_out = load_digit_scenes(1, held_out=True, image_size=64)
    x, y = scenes.images, scenes.semantic_masks
    ```
    """
    _check(count, image_size, digits, digit_sizes, seed)
    if not 0 <= max_overlap < 1:
        raise ValueError(
            "`max_overlap` must be from 0 to below 1. Received: "
            f"max_overlap={max_overlap}"
        )
    source = load_digits(_SOURCE_SIZE, channels=1)[int(held_out)]
    photographs = _photographs(held_out)
    images = np.zeros((count, image_size, image_size, 3), "uint8")
    owner = np.zeros(images.shape[:3], "int8")
    labels = np.full((count, digits[1]), -1, "int32")
    for index in range(count):
        rng = np.random.default_rng((seed, held_out, index))
        canvas = draw_background(rng, image_size, photographs, light_on_dark)
        drawn = int(rng.integers(*digits, endpoint=True))
        _scatter(rng, canvas, source, drawn, digit_sizes, max_overlap)
        images[index] = np.rint(canvas.image.clip(0, 255))
        owner[index] = canvas.owner
        labels[index, : len(canvas.labels)] = canvas.labels
    return annotate(images, owner, labels)


def _check(
    count: int,
    image_size: int,
    digits: tuple[int, int],
    digit_sizes: tuple[float, float],
    seed: int,
) -> None:
    for name, value, least in (
        ("count", count, 1),
        ("image_size", image_size, _SMALLEST_SCENE),
        ("seed", seed, 0),
    ):
        if value < least:
            raise ValueError(
                f"`{name}` must be at least {least}. Received: {name}={value}"
            )
    if not 1 <= digits[0] <= digits[1] <= _MOST_DIGITS:
        raise ValueError(
            "`digits` must be the smallest and the largest number of digits, "
            f"from 1 to {_MOST_DIGITS}. Received: digits={digits}"
        )
    if not 0 < digit_sizes[0] <= digit_sizes[1] <= _LARGEST_DIGIT:
        raise ValueError(
            "`digit_sizes` must be the smallest and the largest side, above 0 "
            f"and at most {_LARGEST_DIGIT} of the scene's. Received: "
            f"digit_sizes={digit_sizes}"
        )


def _photographs(held_out: bool) -> list[np.ndarray]:
    part = slice(None, _TRAINING_COLUMNS)
    if held_out:
        part = slice(_TRAINING_COLUMNS, None)
    return [photograph[:, part] for photograph in load_photographs().values()]


def _scatter(
    rng: np.random.Generator,
    canvas: Canvas,
    source: Split,
    count: int,
    sizes: tuple[float, float],
    max_overlap: float,
) -> None:
    """Draws digits of the source over each other."""
    images, labels = source
    for chosen in rng.integers(len(images), size=count):
        fraction = rng.uniform(*sizes)
        coverage = digit_coverage(
            images[chosen, ..., 0] / np.float32(255),
            max(_SMALLEST_DIGIT, round(fraction * len(canvas.image))),
            np.deg2rad(rng.uniform(-_MAX_ROTATION, _MAX_ROTATION)),
        )
        canvas.scatter_digit(rng, int(labels[chosen]), coverage, max_overlap)
