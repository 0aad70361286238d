"""The passes of one image through a model: scales, flips, windows.

Shape suffixes: H height, W width, C classes.
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence

import keras
import numpy as np

from keras_twins.bilinear import keep_ratio_size
from keras_twins.bilinear import resize
from keras_twins.pixels import as_pixels
from keras_twins.segmentation.prediction import MIN_SIDE
from keras_twins.segmentation.prediction import predict_sliding
from keras_twins.segmentation.prediction import predict_whole
from keras_twins.segmentation.scores import check_kind
from keras_twins.segmentation.sliding_windows import check_batch_size
from keras_twins.segmentation.sliding_windows import is_count
from keras_twins.segmentation.sliding_windows import is_factor
from keras_twins.segmentation.sliding_windows import items_of
from keras_twins.segmentation.sliding_windows import windows

ADE20K_RESIZE = (2048, 512)
"""Most pixels of the long side and the short one, for ADE20K."""

MULTI_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""The scales behind published multi-scale results, with flips."""

_MODES = ("whole", "slide")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """How an image goes through a model.

    Args:
        mode: `"whole"` images, or a window that `"slide"`s over them.
        scales: Factors on `resize`, one forward pass each.
        flip: Whether the mirrored image goes through the model as well.
        resize: Most pixels of the long side and of the short one: the image
            is scaled, keeping its ratio, to the largest size within. `None`:
            the image's own size.
        size: Height and width of the window in pixels, or one number.
        stride: Steps of the window in pixels, or one number.
        batch_size: Windows in one forward pass.
        from_logits: Whether the model returns logits, not probabilities;
            `None`: what its scores look like.

    Raises:
        ValueError: If a setting is wrong.
    """

    mode: str = "whole"
    scales: Sequence[float] = (1.0,)
    flip: bool = False
    resize: tuple[int, int] | None = ADE20K_RESIZE
    size: int | tuple[int, int] = 512
    stride: int | tuple[int, int] = 341
    batch_size: int = 1
    from_logits: bool | None = True

    def __post_init__(self):
        if self.mode not in _MODES:
            raise ValueError(
                f"`mode` must be one of {_MODES}. Received: mode={self.mode!r}"
            )
        # A tuple, which nobody changes later.
        object.__setattr__(self, "scales", _factors(self.scales))
        _check_resize(self.resize)
        check_batch_size(self.batch_size)
        windows((MIN_SIDE, MIN_SIDE), self.size, self.stride)


def score_maps(
    model: keras.Model, image: np.ndarray, settings: InferenceSettings
) -> Iterator[np.ndarray]:
    """Yields the scores of each pass, at the size that the model saw.

    Args:
        model: Model from images to scores.
        image: Pixels of shape `(height, width, 3)`, of any size.
        settings: Which passes.

    Yields:
        np.ndarray: Scores of shape `(new_height, new_width, classes)`,
            float32, not mirrored.

    Raises:
        ValueError: If the image is none, does not fit the model (one without
            `include_preprocessing` takes no integers), or is too small, or
            if the scores are not finite.
    """
    _check_normalised(model, image)
    for pixels in _scaled(image, settings):
        # One after the other: a batch of both would take twice the memory,
        # and another program on JAX than the image alone.
        for mirror in (False, True)[: 1 + settings.flip]:
            seen = pixels[:, ::-1] if mirror else pixels
            if settings.mode == "whole":
                scores_HWC = predict_whole(model, seen)
            else:
                scores_HWC = predict_sliding(
                    model,
                    seen,
                    settings.size,
                    settings.stride,
                    settings.batch_size,
                )
            check_kind(scores_HWC, settings.from_logits)
            yield scores_HWC[:, ::-1] if mirror else scores_HWC


def _check_normalised(model: keras.Model, image: np.ndarray) -> None:
    """Raises an error if a model of normalised images gets pixels."""
    if getattr(model, "include_preprocessing", True):
        return
    dtype = getattr(image, "dtype", None)
    if getattr(dtype, "kind", "f") in "bui":
        raise ValueError(
            "The model was built with `include_preprocessing=False` and takes "
            f"normalised images. Received: pixels of type {dtype}. Pass "
            "`keras_twins.preprocessing.normalize(image)`, or put "
            "`keras_twins.preprocessing.normalization_layer()` before the "
            "model."
        )


def _scaled(
    image: np.ndarray, settings: InferenceSettings
) -> Iterator[np.ndarray]:
    """Yields the image at each scale."""
    pixels = as_pixels(image)
    height, width = pixels.shape[:2]
    for scale in settings.scales:
        limits = settings.resize or (height, width)
        target = keep_ratio_size(
            height, width, (int(limits[0] * scale), int(limits[1] * scale))
        )
        if min(target) < MIN_SIDE:
            raise ValueError(
                f"Images must have at least {MIN_SIDE}x{MIN_SIDE} pixels "
                f"when they get to the model. Received: an image of {height}x"
                f"{width} pixels, {target[0]}x{target[1]} with "
                f"resize={settings.resize} and a scale of {scale}. Choose a "
                "larger `resize`, or cut or pad the image."
            )
        if target == (height, width):
            yield pixels
            continue
        scaled = resize(pixels, target)
        # Whole pixels stay whole, as OpenCV has them.
        yield scaled if image.dtype.kind == "f" else np.rint(scaled)


def _factors(scales: object) -> tuple[float, ...]:
    factors = items_of(scales)
    if not factors or not all(is_factor(factor) for factor in factors):
        raise ValueError(
            "`scales` must be a sequence of positive, finite factors, such as "
            f"(1.0,). Received: scales={scales!r}"
        )
    return factors


def _check_resize(resize: object) -> None:
    sides = (1, 1) if resize is None else items_of(resize)
    if len(sides) != 2 or not all(is_count(side) for side in sides):
        raise ValueError(
            "`resize` must be two positive integers, the most pixels of the "
            "long side and of the short one, or None. Received: "
            f"resize={resize!r}"
        )
