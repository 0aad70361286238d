"""What models of segmentation take from a backbone."""

import keras

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
