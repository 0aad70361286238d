"""Scenes of several handwritten digits, with masks and boxes, by seed."""

import dataclasses

import numpy as np

from keras_twins.data.digits import Split
from keras_twins.data.digits import load_digits
from keras_twins.data.digits import load_photographs
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

_DIGIT_SIZES = (0.2, 0.45)
"""Sides of the digits, as fractions of the scene's."""

_MAX_ROTATION = 30.0
"""Largest rotation of a digit in degrees."""

_SOURCE_SIZE = 32
"""Side, in pixels, of the digits that are turned and scaled."""

_TRAINING_COLUMNS = 448
"""Training scenes see the photographs left of this column, held-out ones the
rest."""


@dataclasses.dataclass(frozen=True, eq=False)
class DigitScenes:
    """Pictures of digits with their annotations.

    The annotations are of what is visible: where digits overlap, a pixel
    belongs to the last one that covers at least half of it. `n` is the number
    of scenes, `size` their side and `slots` the largest number of digits;
    `valid` says which slots are filled.

    Args:
        images: Pixels of shape `(n, size, size, 3)`, `uint8`.
        semantic_masks: Classes of shape `(n, size, size)`, `uint8`; 0 is
            background and `d + 1` is the digit `d`, as in `SCENE_CLASSES`.
        boxes: Boxes `(x1, y1, x2, y2)` of shape `(n, slots, 4)`, `float32`,
            in pixels from the top left corner of the picture and tight around
            the visible pixels: `x2 - x1` is their width. 0 where not valid.
        labels: Digits, 0 to 9, of shape `(n, slots)`, `int32`; -1 where not
            valid.
        valid: Which slots hold a digit, `(n, slots)`, `bool`. The first
            slots are filled, in the order of drawing.
        masks: Visible pixels of each digit, `(n, slots, size, size)`, `bool`.
    """

    images: np.ndarray
    semantic_masks: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    valid: np.ndarray
    masks: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def detection(self) -> dict[str, np.ndarray]:
        """Returns what a detector is trained on.

        Returns:
            A padded batch of all scenes: `images`, `boxes`, `labels`, `valid`
            and `masks`, as the fields of the same names.
        """
        names = ("images", "boxes", "labels", "valid", "masks")
        return {name: getattr(self, name) for name in names}


def load_digit_scenes(
    count: int,
    held_out: bool = False,
    image_size: int = 128,
    digits: tuple[int, int] = (2, 6),
    seed: int = 0,
) -> DigitScenes:
    """Composes scenes of scikit-learn's handwritten digits.

    Each scene has digits of random sizes, rotations and colours over a cut
    from a photograph, a texture, strokes and shapes. Digits may overlap:
    70 % of each one stays visible, and one that finds no such place is left
    out. Training scenes and held-out ones share neither digits (the
    split is that of `load_digits`) nor parts of the photographs.

    A scene follows from `seed`, `held_out`, `image_size`, `digits` and its
    index alone: more scenes begin with the same ones.

    Args:
        count: Number of scenes.
        held_out: Whether to use the digits that are held out for testing.
        image_size: Height and width of the scenes in pixels, at least 32.
        digits: Smallest and largest number of digits of a scene.
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
    _check(count, image_size, digits, seed)
    source = load_digits(_SOURCE_SIZE, channels=1)[int(held_out)]
    photographs = _photographs(held_out)
    images = np.zeros((count, image_size, image_size, 3), "uint8")
    owner = np.zeros(images.shape[:3], "int8")
    labels = np.full((count, digits[1]), -1, "int32")
    for index in range(count):
        rng = np.random.default_rng((seed, held_out, index))
        canvas = draw_background(rng, image_size, photographs)
        _scatter(rng, canvas, source, int(rng.integers(*digits, endpoint=True)))
        images[index] = np.rint(canvas.image.clip(0, 255))
        owner[index] = canvas.owner
        labels[index, : len(canvas.labels)] = canvas.labels
    return _annotate(images, owner, labels)


def _check(
    count: int, image_size: int, digits: tuple[int, int], seed: int
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


def _photographs(held_out: bool) -> list[np.ndarray]:
    part = slice(None, _TRAINING_COLUMNS)
    if held_out:
        part = slice(_TRAINING_COLUMNS, None)
    return [photograph[:, part] for photograph in load_photographs().values()]


def _scatter(
    rng: np.random.Generator, canvas: Canvas, source: Split, count: int
) -> None:
    """Draws digits of the source over each other."""
    images, labels = source
    for chosen in rng.integers(len(images), size=count):
        fraction = rng.uniform(*_DIGIT_SIZES)
        coverage = digit_coverage(
            images[chosen, ..., 0] / np.float32(255),
            max(_SMALLEST_DIGIT, round(fraction * len(canvas.image))),
            np.deg2rad(rng.uniform(-_MAX_ROTATION, _MAX_ROTATION)),
        )
        canvas.scatter_digit(rng, int(labels[chosen]), coverage)


def _annotate(
    images: np.ndarray, owner: np.ndarray, labels: np.ndarray
) -> DigitScenes:
    """Reads masks and boxes off which digit each pixel belongs to."""
    masks = owner[:, None] == np.arange(labels.shape[1])[:, None, None]
    scene = np.arange(len(images))[:, None, None]
    # Class 0 comes first, where the owner is -1.
    classes = np.pad(labels + 1, [(0, 0), (1, 0)]).astype("uint8")
    return DigitScenes(
        images=images,
        semantic_masks=classes[scene, owner + 1],
        boxes=_boxes(masks),
        labels=labels,
        valid=labels >= 0,
        masks=masks,
    )


def _boxes(masks: np.ndarray) -> np.ndarray:
    """Returns the smallest boxes around masks `(..., height, width)`."""
    x1, x2 = _range(np.any(masks, axis=-2))
    y1, y2 = _range(np.any(masks, axis=-1))
    return np.stack([x1, y1, x2, y2], axis=-1).astype("float32")


def _range(touched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each row of `touched` begins and ends, 0 if nowhere."""
    end = touched.shape[-1] - touched[..., ::-1].argmax(axis=-1)
    return touched.argmax(axis=-1), end * touched.any(axis=-1)
