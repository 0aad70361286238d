"""What dense models take from a backbone: the maps of its pyramid."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_twins import preprocessing
from keras_twins.ops import Tensor

LEVELS = ("P2", "P3", "P4", "P5")
"""The levels of the pyramid that the heads read, the finest first."""


def check_backbone(backbone: object) -> None:
    """Raises if heads cannot be put on a model.

    Args:
        backbone: The model.

    Raises:
        ValueError: If it is not functional, or has no `pyramid_outputs` with
            the levels `P2` to `P5`.
    """
    levels = dict(getattr(backbone, "pyramid_outputs", {}))
    inputs = getattr(backbone, "inputs", None)
    missing = [level for level in LEVELS if level not in levels]
    if not inputs or len(inputs) != 1 or missing:
        raise ValueError(
            "`backbone` must be a functional model with one input and "
            f"`pyramid_outputs`, a dictionary with {', '.join(LEVELS)}, such "
            "as `keras_twins.TwinsBackbone`. Received: "
            f"backbone={backbone!r}, with the levels {sorted(levels)}"
        )


def feature_extractor(backbone: keras.Model) -> keras.Model:
    """Returns the part of a backbone that gives the pyramid.

    Args:
        backbone: A model with `pyramid_outputs`.

    Returns:
        A model that shares its layers, from images to the list of maps, the
        finest first.
    """
    maps = [backbone.pyramid_outputs[level] for level in LEVELS]
    return keras.Model(backbone.inputs[0], maps, name="feature_extractor")


def pyramid_maps(
    backbone: keras.Model, include_preprocessing: bool, dtype: Any
) -> tuple[Tensor, list[Tensor]]:
    """Returns images, and the maps of a backbone for them.

    Args:
        backbone: A model with `pyramid_outputs`.
        include_preprocessing: Whether pixels are normalised, if they have 3
            channels.
        dtype: Dtype policy of the normalisation.

    Returns:
        An input, and the maps `"P2"` to `"P5"`.
    """
    images = keras.Input(backbone.inputs[0].shape[1:], name="images")
    x = images
    if include_preprocessing and images.shape[-1] == 3:
        x = preprocessing.normalization_layer(dtype)(x)
    return images, feature_extractor(backbone)(x)


def level_sources(backbone: keras.Model) -> dict[str, str] | None:
    """Returns which layers give the pyramid of a plain functional model.

    Keras saves the graph of such a model and not its attributes.

    Args:
        backbone: A model with `pyramid_outputs`.

    Returns:
        The name of a layer or operation for each level; `None` for a class
        with arguments of its own, which makes its pyramid again.

    Raises:
        ValueError: If a level is no output of the graph.
    """
    # What a graph has in its configuration, and no arguments of a class.
    if "input_layers" not in backbone.get_config():
        return None
    sources = {
        level: operation.name
        for operation in backbone.operations
        for level in LEVELS
        if operation.output is backbone.pyramid_outputs[level]
    }
    missing = [level for level in LEVELS if level not in sources]
    if missing:
        raise ValueError(
            "A `backbone` can be saved if each level of `pyramid_outputs` is "
            "what one layer between its inputs and its outputs gives at its "
            f"first call. Received: backbone={backbone.name}, where "
            f"{', '.join(missing)} is not. Add the levels to its outputs, or "
            "save the weights alone with `save_weights`."
        )
    return sources


def restore_levels(backbone: keras.Model, sources: Mapping[str, str]) -> None:
    """Gives a plain functional model that was saved its pyramid again.

    Args:
        backbone: The model.
        sources: What `level_sources` returned for it.
    """
    outputs = {x.name: x.output for x in backbone.operations}
    backbone.pyramid_outputs = {
        level: outputs[name] for level, name in sources.items()
    }
