"""Published weights on two photographs, where the weights are at hand."""

import dataclasses
import urllib.parse
import warnings

import keras
import numpy as np

from keras_twins.applications import TwinsSVTSmall
from keras_twins.data import load_photographs
from keras_twins.imagenet import decode_predictions
from keras_twins.preprocessing import load_image
from keras_twins.weights.download import fetch_weights
from keras_twins.weights.errors import WeightsDownloadError

_VARIANT = "svt_small"


class UnreachableWeightsError(Exception):
    """The published weights are neither cached nor reachable."""


@dataclasses.dataclass(frozen=True)
class Photograph:
    """A photograph and what the model sees in it.

    Args:
        name: Name of the photograph.
        pixels: Its pixels of shape `(224, 224, 3)`, from 0 to 255.
        classes: Pairs of a class and its probability, best first.
    """

    name: str
    pixels: np.ndarray
    classes: tuple[tuple[str, float], ...]


def classify_photographs(weights: str, timeout: float) -> list[Photograph]:
    """Classifies scikit-learn's photographs with Twins-SVT-S.

    Args:
        weights: `"imagenet"`, or the path of a weights file.
        timeout: Seconds without an answer after which the network counts as
            unreachable.

    Returns:
        A `Photograph` for each.

    Raises:
        UnreachableWeightsError: If the weights cannot be had.
    """
    if weights == "imagenet":
        _fetch(timeout)
    model = TwinsSVTSmall(weights=weights)
    return [
        _classify(model, name, image)
        for name, image in load_photographs().items()
    ]


def _fetch(timeout: float) -> None:
    try:
        with warnings.catch_warnings():
            # Why each source failed stands in the error too.
            warnings.simplefilter("ignore")
            fetch_weights(_VARIANT, timeout=timeout)
    except WeightsDownloadError as error:
        raise UnreachableWeightsError(_reason(error)) from error


def _reason(error: WeightsDownloadError) -> str:
    """Returns the first failure in a few words."""
    for line in str(error).splitlines():
        url, _, reason = line.strip().partition(": ")
        if host := urllib.parse.urlsplit(url).netloc:
            return (
                "the published weights are not cached, and "
                f"{host} cannot be reached: {reason}"
            )
    return str(error)


def _classify(model: keras.Model, name: str, image: np.ndarray) -> Photograph:
    from PIL import Image

    pixels = load_image(Image.fromarray(image))
    probabilities = model.predict(pixels[None], verbose=0)
    (best,) = decode_predictions(probabilities, top=5)
    classes = tuple((label, float(score)) for _, label, score in best)
    return Photograph(name, pixels, classes)
