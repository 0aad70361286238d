"""The meaning of the argument `weights`."""

import os

import keras

from keras_twins.config import TwinsConfig


def load_pretrained(
    model: keras.Model,
    config: TwinsConfig,
    variant: str | None,
    weights: str | os.PathLike | None,
    *,
    include_top: bool,
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
    """
    if weights is None:
        return
    from keras_twins.weights.download import fetch_weights
    from keras_twins.weights.loading import load_weights_file

    path = fetch_weights(variant) if weights == "imagenet" else weights
    load_weights_file(model, config, path, include_top=include_top)
