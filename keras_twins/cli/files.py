"""The commands that read images and weights."""

import argparse
import contextlib
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    import keras

_KERAS = ".weights.h5"
_SAFETENSORS = ".safetensors"


def classify(arguments: argparse.Namespace) -> int:
    """Prints the most probable classes of images.

    Args:
        arguments: `images`, `model`, `weights`, `top`, `json`, `crop` and
            `size`.

    Returns:
        Exit code.
    """
    import numpy as np

    from keras_twins.applications import classifier
    from keras_twins.imagenet import decode_predictions
    from keras_twins.preprocessing import load_image

    size = arguments.size
    pixels = [load_image(x, size, arguments.crop) for x in arguments.images]
    # Keras shows the progress of a download where the results belong.
    with contextlib.redirect_stdout(sys.stderr):
        model = classifier(
            arguments.model,
            weights=arguments.weights,
            input_shape=(size, size, 3),
        )
        probabilities = model.predict(np.stack(pixels), verbose=0)
    named = decode_predictions(probabilities, top=arguments.top)
    if arguments.json:
        print(json.dumps(_as_json(arguments.images, named), indent=2))
        return 0
    for image, classes in zip(arguments.images, named, strict=True):
        print(image)
        for _, name, probability in classes:
            print(f"  {probability:6.1%}  {name.replace('_', ' ')}")
    return 0


def convert(arguments: argparse.Namespace) -> int:
    """Writes the weights of one file to another kind of file.

    Args:
        arguments: `source`, `target`, `model`, `no_top` and `classes`.

    Returns:
        Exit code.

    Raises:
        ValueError: If the target's name does not say what kind it is, or the
            source does not fit the model.
    """
    from keras_twins.applications import classifier
    from keras_twins.weights.files import write_keras_weights

    target = arguments.target
    if not target.name.endswith((_KERAS, _SAFETENSORS)):
        raise ValueError(
            f"The target must end in {_KERAS} or {_SAFETENSORS}. Received: "
            f"target={target}"
        )
    if not pathlib.Path(arguments.source).is_file():
        raise FileNotFoundError(f"There is no file {arguments.source}.")
    model = classifier(
        arguments.model,
        include_top=not arguments.no_top,
        weights=arguments.source,
        classes=arguments.classes,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name.endswith(_KERAS):
        write_keras_weights(model, target)
    else:
        _write_safetensors(model, arguments.model, target)
    print(
        f"{target}: {target.stat().st_size:,} bytes, "
        f"{model.count_params():,} parameters of {arguments.model}"
    )
    return 0


def _as_json(
    images: Sequence[str], named: Sequence[Sequence[tuple[str, str, Any]]]
) -> list[dict[str, Any]]:
    return [
        {
            "image": image,
            "classes": [
                {"wnid": wnid, "name": name, "probability": float(probability)}
                for wnid, name, probability in classes
            ],
        }
        for image, classes in zip(images, named, strict=True)
    ]


def _write_safetensors(
    model: "keras.Model", variant: str, target: pathlib.Path
) -> None:
    from keras_twins.config import VARIANTS
    from keras_twins.weights import export_state
    from keras_twins.weights import write_safetensors

    write_safetensors(export_state(model, VARIANTS[variant]), target)
