"""Score maps of one image, by the whole image or by sliding a window.

Shape suffixes: B windows of a batch, H height, W width, C classes.
"""

from typing import Any

import keras
import numpy as np

from keras_twins.pixels import as_pixels
from keras_twins.segmentation.scores import check_finite
from keras_twins.segmentation.sliding_windows import check_batch_size
from keras_twins.segmentation.sliding_windows import windows

MIN_SIDE = 32
"""Fewest pixels of a side: the coarsest maps of Twins have this stride."""


def predict_whole(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """Returns the scores of an image in one forward pass.

    Args:
        model: Model from images of shape `(batch, height, width, 3)` to
            scores of shape `(batch, height, width, classes)`.
        image: Pixels of shape `(height, width, 3)` as the model takes them;
            see `as_pixels` for what else is taken.

    Returns:
        What the model returns for it, of shape `(height, width, classes)`,
        float32.

    Raises:
        ValueError: If the image is none, or does not fit the model, or if the
            scores are not finite.

    Example:

    ```python
    from keras_twins.segmentation import predict_whole

    model = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same")])
    scores = predict_whole(model, numpy.zeros((48, 64, 3)))
    ```
    """
    return _run(model, as_pixels(image)[None])[0]


def predict_sliding(
    model: keras.Model,
    image: np.ndarray,
    size: int | tuple[int, int] = 512,
    stride: int | tuple[int, int] = 341,
    batch_size: int = 1,
) -> np.ndarray:
    """Returns the scores of an image, averaged over a window's positions.

    The window moves by `stride`; at the border it is moved back into the
    image, so that all windows have one size. Where an image is smaller than
    the window, the window is cut to it, without padding. Both are as in
    mmsegmentation. Scores are averaged as they come, logits or probabilities.

    Args:
        model: Model from images of shape `(batch, height, width, 3)` to
            scores of shape `(batch, height, width, classes)`.
        image: Pixels of shape `(height, width, 3)` as the model takes them.
        size: Height and width of the window in pixels, or one number.
        stride: Steps down and to the right in pixels, or one number; at most
            `size`.
        batch_size: Windows in one forward pass. The last batch is filled up
            with copies where there are several, so that one size of batch is
            compiled.

    Returns:
        Scores of shape `(height, width, classes)`, float32.

    Raises:
        ValueError: If the image is none, or does not fit the model, or `size`
            and `stride` do not fit each other, or if the scores are not
            finite.

    Example:

    ```python
    from keras_twins.segmentation import predict_sliding

    model = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same")])
    image = numpy.zeros((48, 64, 3))
    scores = predict_sliding(model, image, size=32, stride=24)
    ```
    """
    pixels = as_pixels(image)
    check_batch_size(batch_size)
    height, width = pixels.shape[:2]
    positions = windows((height, width), size, stride)
    total, visits = np.zeros(0), np.zeros((height, width, 1), dtype="float32")
    batch_size = min(batch_size, len(positions))
    for start in range(0, len(positions), batch_size):
        chosen = positions[start : start + batch_size]
        filled = chosen + chosen[:1] * (batch_size - len(chosen))
        batch = np.stack([pixels[window] for window in filled])
        # The copies come last and are left out here.
        for window, scores_HWC in zip(chosen, _run(model, batch), strict=False):
            if not total.size:
                shape = (height, width, scores_HWC.shape[-1])
                total = np.zeros(shape, dtype="float32")
            total[window] += scores_HWC
            visits[window] += 1
    return np.divide(total, visits, out=total)


def _run(model: keras.Model, batch_BHWC: np.ndarray) -> np.ndarray:
    _check_input(model, batch_BHWC.shape)
    output = _output(model, batch_BHWC)
    several = isinstance(output, dict | list | tuple)
    shape = (0,) if several else tuple(output.shape)
    if shape[:-1] != batch_BHWC.shape[:-1] or shape[-1] < 2:
        what = f"type {type(output).__name__}" if several else f"shape {shape}"
        raise ValueError(
            "The model must return one map of scores, of shape (batch, "
            "height, width, classes), at the size of its images, with at "
            f"least 2 classes. Received: an output of {what} for images of "
            f"shape {batch_BHWC.shape}"
        )
    scores_BHWC = np.asarray(output, dtype="float32")
    check_finite(scores_BHWC)
    return scores_BHWC


def _output(model: keras.Model, batch_BHWC: np.ndarray) -> Any:
    """Returns what the model returns, or says why small images fail."""
    try:
        return model.predict_on_batch(batch_BHWC)
    # Backends raise errors of their own where a map has no pixel left.
    except Exception as error:
        height, width = batch_BHWC.shape[1:3]
        if min(height, width) >= MIN_SIDE:
            raise
        raise ValueError(
            "Images and windows must be large enough for the model; Twins "
            f"take {MIN_SIDE}x{MIN_SIDE} pixels or more. Received: {height}x"
            f"{width} pixels, on which the model raises "
            f"{type(error).__name__}. Resize or pad the image, or choose a "
            "larger `size` of the window."
        ) from error


def _check_input(model: keras.Model, shape: tuple[int, ...]) -> None:
    """Raises an error if the model was built for another size."""
    # A sequential model takes any size, and notes the first that it saw. JAX
    # runs other models at a wrong size without a word.
    if isinstance(model, keras.Sequential):
        return
    inputs = getattr(model, "inputs", None) or []
    for tensor in inputs[:1]:
        built = tuple(tensor.shape)
        pairs = zip(built[1:3], shape[1:3], strict=False)
        if any(a not in (None, b) for a, b in pairs):
            raise ValueError(
                f"The model takes images of shape {built}. Received: images "
                f"of shape {shape}. Build it with an input shape of (None, "
                "None, 3), or slide a window of its size over images that are "
                "not smaller."
            )
