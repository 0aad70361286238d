"""The meaning of the argument `weights`."""

import os

import keras

from keras_twins.config import TwinsConfig
from keras_twins.weights.download import fetch_weights
from keras_twins.weights.loading import load_weights_file


def load_pretrained(
    model: keras.Model,
    config: TwinsConfig,
    variant: str | None,
    weights: str | os.PathLike | None,
    *,
    include_top: bool,
    fresh_output_norms: bool = False,
) -> None:
    """Fills a model as the argument `weights` of a constructor asks.

    Args:
        model: The model to fill.
        config: Its architecture.
        variant: A key of `keras_twins.VARIANTS`; names the published file.
            `None` for other architectures, which have none.
        weights: `"imagenet"` downloads (or takes from the cache) the
            published weights; a path reads a file; `None` does nothing.
        include_top: Whether the model has the classifier.
        fresh_output_norms: As for `load_state`.

    Raises:
        ValueError: If there are no published weights of the architecture.
    """
    if weights is None:
        return
    if weights == "imagenet":
        if variant is None:
            raise ValueError(
                "`weights='imagenet'` needs a published variant. Received a "
                "config: pass the path of a weights file."
            )
        weights = fetch_weights(variant)
    load_weights_file(
        model,
        config,
        weights,
        include_top=include_top,
        fresh_output_norms=fresh_output_norms,
    )
