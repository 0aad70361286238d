"""Name what is in pictures, with a published Twins model.

What: loads a model, cuts each picture to 224 pixels as the published
evaluations do, and prints the five most probable of ImageNet's 1000 classes.
Without pictures it takes the two photographs that ship inside scikit-learn.

Expected result: one block of five lines for each picture, after 13 s on two
CPU cores, the start of TensorFlow included; a first run also downloads the
weights (96 MB for Twins-SVT-S).

Command:
    python examples/classify_image.py photograph.jpg --model TwinsSVTSmall
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import keras_twins
from keras_twins.data import load_photographs
from keras_twins.imagenet import decode_predictions
from keras_twins.preprocessing import load_image

Named = dict[str, list[tuple[str, str, Any]]]


def main(arguments: Sequence[str] | None = None) -> Named:
    """Classifies pictures.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        For each picture, triples of WordNet identifier, name and
        probability.
    """
    options = parse(arguments)
    pictures = load_pictures(options.pictures, options.size)
    weights = None if options.weights == "none" else options.weights
    model = getattr(keras_twins, options.model)(
        weights=weights, input_shape=(options.size, options.size, 3)
    )
    probabilities = model.predict(np.stack(list(pictures.values())), verbose=0)
    named = decode_predictions(probabilities, top=options.top)
    for picture, classes in zip(pictures, named, strict=True):
        print(picture)
        for _, name, probability in classes:
            print(f"  {probability:6.1%}  {name.replace('_', ' ')}")
    return dict(zip(pictures, named, strict=True))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("pictures", nargs="*", help="files of pictures")
    parser.add_argument(
        "--model", default="TwinsSVTSmall", choices=keras_twins.list_models()
    )
    parser.add_argument(
        "--weights",
        default="imagenet",
        help="imagenet, the path of a weights file, or none",
    )
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--top", type=int, default=5)
    return parser.parse_args(arguments)


def load_pictures(paths: list[str], size: int) -> dict[str, np.ndarray]:
    """Loads pictures and cuts them to squares.

    Args:
        paths: Files; if there are none, scikit-learn's photographs.
        size: Side of the squares in pixels.

    Returns:
        Pixels of shape `(size, size, 3)` by the name of the picture.
    """
    if paths:
        return {path: load_image(path, size) for path in paths}
    from PIL import Image

    return {
        name: load_image(Image.fromarray(pixels), size)
        for name, pixels in load_photographs().items()
    }


if __name__ == "__main__":
    main()
