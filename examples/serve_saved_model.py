"""Export a SavedModel for TensorFlow Serving, and call it with raw bytes.

What: exports a Twins classifier with `uint8` input, shows its signature as
`saved_model_cli` does, then loads the folder with TensorFlow alone and calls
the signature with the pixels of pictures as they come from a decoder: no
scaling, no mean, the model does that itself.

Expected result: the report card of the export, the signature with the input
`images` (DT_UINT8, any batch) and the output `output_0`, and for each picture
the class that the artefact names. Without `--model` it is a small model with
random values, so what it names means nothing; the whole takes half a minute
on two CPU cores.

TensorFlow Serving answers to the same signature: the REST body for
`/v1/models/NAME:predict` is `{"instances": [[[[R, G, B], ...], ...]]}`.

Command:
    python examples/serve_saved_model.py --model results/demo/digits.keras
"""

import argparse
import pathlib
import tempfile
from collections.abc import Sequence

import keras
import numpy as np

import keras_twins
from keras_twins.data import load_digits
from keras_twins.export import describe_signature
from keras_twins.export import export_model

SMALL = keras_twins.TwinsConfig(
    embed_dims=(32, 64, 96, 128),
    depths=(1, 1, 1, 1),
    num_heads=(1, 2, 3, 4),
    mlp_ratios=(2, 2, 2, 2),
    attention_pattern=("L", "G", "L", "G"),
    patch_sizes=(2, 2, 2, 2),
    sr_ratios=(4, 2, 1, 1),
    window_sizes=(4, 4, 4, 2),
)


def main(arguments: Sequence[str] | None = None) -> np.ndarray:
    """Exports, shows the signature and calls it.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        What the artefact gives, of shape `(pictures, classes)`.
    """
    options = parse(arguments)
    model = load_model(options.model)
    with tempfile.TemporaryDirectory() as folder:
        # TensorFlow Serving wants a folder with a number: the version.
        path = pathlib.Path(options.out or folder) / "1"
        print(export_model(model, path, input_dtype="uint8"))
        print(describe_signature(path))
        pictures = load_pictures(model, options.pictures)
        outputs = serve(path, pictures)
    for number, output in enumerate(outputs):
        print(f"picture {number}: class {output.argmax()}")
    return outputs


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", help="a .keras file of a classifier")
    parser.add_argument("--out", help="folder to keep the export in")
    parser.add_argument("--pictures", type=int, default=4, help="how many")
    return parser.parse_args(arguments)


def load_model(path: str | None) -> keras.Model:
    """Loads a model, or builds a small one with random values.

    Args:
        path: A `.keras` file.

    Returns:
        The model.
    """
    if path is not None:
        return keras.saving.load_model(path, compile=False)
    return keras_twins.classifier(SMALL, input_shape=(32, 32, 3), classes=10)


def load_pictures(model: keras.Model, count: int) -> np.ndarray:
    """Returns handwritten digits of the size that the model takes.

    Args:
        model: The model.
        count: Number of pictures.

    Returns:
        Raw pixels of shape `(count, side, side, 3)`, `uint8`.
    """
    _, (digits, _) = load_digits(model.input_shape[1])
    return digits[:count]


def serve(path: pathlib.Path, pictures: np.ndarray) -> np.ndarray:
    """Calls the signature as a server does, with TensorFlow alone.

    Args:
        path: The SavedModel.
        pictures: Raw pixels of shape `(n, height, width, 3)`, `uint8`.

    Returns:
        Probabilities of shape `(n, classes)`.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]
    outputs = signature(images=tf.constant(pictures))
    return outputs["output_0"].numpy()


if __name__ == "__main__":
    main()
