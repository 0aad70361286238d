"""From images of any size to what is in them."""

import keras
import numpy as np

from keras_twins.bilinear import keep_ratio_size
from keras_twins.bilinear import resize
from keras_twins.detection.detections import Detections
from keras_twins.detection.detections import unpacked
from keras_twins.pixels import as_visible_pixels
from keras_twins.preprocessing import normalize

COCO_SCALE = (1333, 800)
"""Most pixels of the long side and of the short one, as COCO is evaluated."""

_DIVISOR = 32


def detect(
    model: keras.Model,
    image: np.ndarray,
    scale: tuple[int, int] | None = COCO_SCALE,
    score_threshold: float = 0.0,
) -> Detections:
    """Returns what is in an image of any size.

    The image is resized bilinearly, keeping its ratio, padded to a multiple of
    32 pixels below and to the right, and goes through the model. Boxes and
    masks are in pixels of the image as it came.

    Args:
        model: A `RetinaNet` or `MaskRCNN`.
        image: Pixels from 0 to 255 of shape `(height, width, 3)`, of any
            size; grey images and those with transparency are converted.
        scale: Most pixels of the long side and of the short one, between
            which the image is made as large as it can be. `None`: the image's
            own size.
        score_threshold: The lowest score that is returned. The model has a
            threshold of its own.

    Returns:
        `Detections`, the surest first.

    Raises:
        ValueError: If an argument is wrong, or the model takes other sizes or
            returns no detections.

    Example:

    ```python
    from keras_twins.detection import RetinaNet
    from keras_twins.detection import detect

    model = RetinaNet.from_twins("svt_small", weights=None, num_classes=5)
    image = numpy.zeros((48, 64, 3), "uint8")
    found = detect(model, image, scale=(128, 96), score_threshold=0.3)
    ```
    """
    batch = image_batch(image, scale, _takes_pixels(model))
    _check_input(model, batch["images"].shape)
    predictions = model.predict_on_batch(batch)
    if not isinstance(predictions, dict):
        raise ValueError(
            "`model` must be a detector, which returns a dictionary with "
            f"boxes. Received: {model.name}, which returns "
            f"{type(predictions).__name__}"
        )
    (found,) = unpacked(predictions, [image.shape[:2]])
    return found.above(score_threshold)


def image_batch(
    image: np.ndarray,
    scale: tuple[int, int] | None = COCO_SCALE,
    as_pixels: bool = True,
) -> dict[str, np.ndarray]:
    """Returns a batch of one image, as detectors take it.

    Args:
        image: Pixels from 0 to 255 of shape `(height, width, 3)`.
        scale: Most pixels of the long side and of the short one; `None`: the
            image's own size.
        as_pixels: Whether the model takes pixels and normalises them itself.

    Returns:
        Dictionary with `images` of shape `(1, padded height, padded width,
        3)`, float32, and `image_sizes` and `original_sizes` of shape `(1, 2)`,
        int32: height and width without padding, and of the image as it came.

    Raises:
        ValueError: If the image is none, or `scale` is not two positive
            numbers.
    """
    pixels = as_visible_pixels(image)
    height, width = size = pixels.shape[:2]
    if scale is not None:
        size = keep_ratio_size(height, width, _checked_scale(scale))
        # To whole numbers, as image files and OpenCV have them.
        pixels = np.rint(resize(pixels, size))
    if not as_pixels:
        pixels = normalize(pixels)
    padding = [(0, -side % _DIVISOR) for side in size]
    return {
        "images": np.pad(pixels, [*padding, (0, 0)])[None],
        "image_sizes": np.array([size], "int32"),
        "original_sizes": np.array([[height, width]], "int32"),
    }


def _takes_pixels(model: keras.Model) -> bool:
    return getattr(model, "include_preprocessing", True)


def _checked_scale(scale: tuple[int, int]) -> tuple[int, int]:
    if len(scale) != 2 or min(scale) < 1:
        raise ValueError(
            "`scale` must be two positive numbers of pixels, or `None`. "
            f"Received: scale={scale}"
        )
    return scale


def _check_input(model: keras.Model, shape: tuple[int, ...]) -> None:
    """Raises an error if the model was built for another size."""
    # JAX runs models at a wrong size without a word.
    for tensor in (getattr(model, "inputs", None) or [])[:1]:
        built = tuple(tensor.shape)
        if any(
            a not in (None, b)
            for a, b in zip(built[1:], shape[1:], strict=False)
        ):
            raise ValueError(
                f"The model takes images of shape {built}. Received: an image "
                f"of shape {shape} after resizing and padding. Build it with "
                "an image shape of (None, None, 3)."
            )
