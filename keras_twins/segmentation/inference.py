"""From images of any size to their label maps.

Shape suffixes: H height, W width, C classes.
"""

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import keras
import numpy as np

from keras_twins.bilinear import resized_rows
from keras_twins.segmentation.passes import ADE20K_RESIZE
from keras_twins.segmentation.passes import MULTI_SCALES
from keras_twins.segmentation.passes import InferenceSettings
from keras_twins.segmentation.passes import score_maps
from keras_twins.segmentation.scores import are_probabilities
from keras_twins.segmentation.scores import labels_at
from keras_twins.segmentation.scores import softmax


@dataclasses.dataclass(frozen=True)
class SegmentationResult:
    """What a model sees in an image, at the size of the image.

    Args:
        labels: The most probable class of each pixel, of shape `(height,
            width)`; uint8 for up to 255 classes, else int32.
        probabilities: Probabilities of shape `(height, width, classes)`,
            float32, where they were asked for.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None = None


def segment(
    model: keras.Model,
    image: np.ndarray,
    mode: str = "whole",
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    resize: tuple[int, int] | None = ADE20K_RESIZE,
    size: int | tuple[int, int] = 512,
    stride: int | tuple[int, int] = 341,
    batch_size: int = 1,
    from_logits: bool | None = True,
    probabilities: bool = False,
) -> SegmentationResult:
    """Returns the class of each pixel of an image of any size.

    The image is resized bilinearly, without antialiasing, goes through the
    model, and the scores are resized to the size of the image. With several
    scales or flips, the mean of the probabilities decides. All of it is as in
    mmsegmentation.

    Args:
        model: Model from images of shape `(batch, height, width, 3)` to
            scores of shape `(batch, height, width, classes)`.
        image: Pixels from 0 to 255 of shape `(height, width, 3)`, of any
            size; grey images and those with transparency are converted.
            Floats are not scaled: from 0 to 1, they are nearly black.
        mode: `"whole"` images, or a window that `"slide"`s over them.
        scales: Factors on `resize`, one forward pass each; see
            `MULTI_SCALES`.
        flip: Whether the mirrored image goes through the model as well.
        resize: Most pixels of the long side and of the short one: the image
            is scaled, keeping its ratio, to the largest size within. `None`:
            the image's own size.
        size: Height and width of the window in pixels, or one number.
        stride: Steps of the window in pixels, or one number.
        batch_size: Windows in one forward pass.
        from_logits: Whether the model returns logits, not probabilities;
            `None`: what its scores look like.
        probabilities: Whether the result has probabilities too. They take
            `4 * height * width * classes` bytes, as several scales do on
            the way.

    Returns:
        A `SegmentationResult`.

    Raises:
        ValueError: If a setting is wrong, or the image is none, does not fit
            the model, or has a side below 32 pixels when it gets there, or if
            the scores are not finite.

    Example:

    ```python
    from keras_twins.segmentation import segment

    model = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same")])
    image = numpy.zeros((48, 64, 3), "uint8")
    labels = segment(model, image, resize=(96, 96), flip=True).labels
    ```
    """
    settings = InferenceSettings(
        mode=mode,
        scales=scales,
        flip=flip,
        resize=resize,
        size=size,
        stride=stride,
        batch_size=batch_size,
        from_logits=from_logits,
    )
    return _segment(model, image, settings, probabilities)


def segment_images(
    model: keras.Model,
    images: Iterable[np.ndarray],
    settings: InferenceSettings | None = None,
    probabilities: bool = False,
    say: Callable[[str], object] | None = None,
) -> Iterator[SegmentationResult]:
    """Yields the classes of the pixels of images of different sizes.

    One image is worked on at a time, when its result is asked for. Every size
    that the model sees is compiled once on JAX; sizes are not rounded or
    padded for that, since it would change results. A fixed size comes from
    `mode="slide"`, for all images that are larger than the window.

    Args:
        model: Model from images to scores; see `segment`.
        images: Images, one by one.
        settings: How they go through the model; see `segment`.
        probabilities: Whether results have probabilities too.
        say: Gets a line after each image: how many are done, how long one
            takes and, where `images` has a length, how long the rest will.

    Yields:
        SegmentationResult: The result of each image, in their order.

    Raises:
        ValueError: As `segment`, with the number of the image.

    Example:

    ```python
    from keras_twins.segmentation import segment_images

    model = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same")])
    images = [numpy.zeros((48, 64, 3)), numpy.zeros((64, 64, 3))]
    results = list(segment_images(model, images, say=print))
    ```
    """
    settings = settings or InferenceSettings()
    total = len(images) if isinstance(images, list | tuple) else None
    begin = time.perf_counter()
    for number, image in enumerate(images, start=1):
        try:
            result = _segment(model, image, settings, probabilities)
        except ValueError as error:
            raise ValueError(f"Image {number}: {error}") from error
        if say is not None:
            say(_progress(number, total, time.perf_counter() - begin))
        yield result


def predict_multi_scale(
    model: keras.Model,
    image: np.ndarray,
    scales: Sequence[float] = MULTI_SCALES,
    flip: bool = True,
    settings: InferenceSettings | None = None,
) -> np.ndarray:
    """Returns probabilities, averaged over scales and the mirrored image.

    Args:
        model: Model from images to scores; see `segment`.
        image: Pixels from 0 to 255 of shape `(height, width, 3)`, of any
            size.
        scales: Factors on the size.
        flip: Whether the mirrored image goes through the model as well.
        settings: Everything else; its own scales and flip do not count.

    Returns:
        Probabilities of shape `(height, width, classes)`, float32.

    Raises:
        ValueError: As `segment`.

    Example:

    ```python
    from keras_twins.segmentation import predict_multi_scale

    model = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same")])
    image = numpy.zeros((48, 64, 3), "uint8")
    probabilities = predict_multi_scale(model, image, scales=(0.5, 1.0))
    ```
    """
    settings = dataclasses.replace(
        settings or InferenceSettings(), scales=scales, flip=flip
    )
    return _mean_probabilities(model, image, settings)


def _segment(
    model: keras.Model,
    image: np.ndarray,
    settings: InferenceSettings,
    probabilities: bool,
) -> SegmentationResult:
    if probabilities or settings.flip or len(settings.scales) > 1:
        mean_HWC = _mean_probabilities(model, image, settings)
        labels = labels_at(mean_HWC, mean_HWC.shape[:2])
        return SegmentationResult(labels, mean_HWC if probabilities else None)
    # The softmax would not change the order, and rows need no memory.
    (scores_HWC,) = score_maps(model, image, settings)
    return SegmentationResult(labels_at(scores_HWC, image.shape[:2]))


def _mean_probabilities(
    model: keras.Model, image: np.ndarray, settings: InferenceSettings
) -> np.ndarray:
    """Returns the mean over all passes, at the size of the image."""
    total_HWC, passes = np.zeros(0), 0
    logits = settings.from_logits
    for scores_HWC in score_maps(model, image, settings):
        height, width = image.shape[:2]
        if not passes:
            shape = (height, width, scores_HWC.shape[-1])
            total_HWC = np.zeros(shape, dtype="float32")
            if logits is None:
                logits = not are_probabilities(scores_HWC)
        for rows, block in resized_rows(scores_HWC, (height, width)):
            total_HWC[rows] += softmax(block) if logits else block
        passes += 1
    return np.divide(total_HWC, np.float32(passes), out=total_HWC)


def _progress(number: int, total: int | None, seconds: float) -> str:
    line = f"image {number}"
    each = seconds / number
    if total is None:
        return f"{line}, {each:.2f} s an image"
    left = each * (total - number)
    return f"{line} of {total}, {each:.2f} s an image, {left:.0f} s left"
