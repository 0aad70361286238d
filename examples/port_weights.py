"""Carry weights between safetensors, `.weights.h5` and a model.

What: reads weights in any of the formats (`.weights.h5` of this package,
`.safetensors` or `.pth` with the names of timm or of the official code),
fills a model, writes them in the other format, reads that again and compares
predictions. Without a file it starts from random weights. To convert files of
other code bases, see `python -m weights_port convert --help`.

Expected result: one line, with a largest difference of 0, after 20 s on two
CPU cores; the file of Twins-SVT-S has 96,269,936 bytes.

Command:
    python examples/port_weights.py model.safetensors svt_small.weights.h5
"""

import argparse
import pathlib
from collections.abc import Sequence

import keras
import numpy as np

import keras_twins
from keras_twins.weights.mapping import export_state
from keras_twins.weights.mapping import write_safetensors


def main(arguments: Sequence[str] | None = None) -> float:
    """Ports weights and checks the result.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        Largest difference between the probabilities of the two models.

    Raises:
        ValueError: If the name of the target ends in another way than
            `.safetensors` or `.weights.h5`.
    """
    options = parse(arguments)
    if not options.target.name.endswith((".safetensors", ".weights.h5")):
        raise ValueError(
            "`target` must end in .safetensors or .weights.h5. Received: "
            f"target={str(options.target)!r}"
        )
    options.target.parent.mkdir(parents=True, exist_ok=True)
    model = build(options, options.source)
    write(model, options)
    again = build(options, options.target)
    images = np.random.default_rng(0).uniform(
        0, 255, (2, options.size, options.size, 3)
    )
    before = model.predict(images, verbose=0)
    after = again.predict(images, verbose=0)
    difference = float(np.abs(before - after).max())
    print(
        f"{options.target}: {options.target.stat().st_size:,} bytes, "
        f"{model.count_params():,} parameters, largest difference "
        f"{difference:.1e}"
    )
    return difference


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("source", nargs="?", type=pathlib.Path, help="file; random weights")
    add(
        "target",
        nargs="?",
        type=pathlib.Path,
        default=pathlib.Path("results/svt_small.safetensors"),
        help="a .safetensors or .weights.h5 file",
    )
    add("--variant", default="svt_small", choices=list(keras_twins.VARIANTS))
    add("--size", type=int, default=64, help="pixels of the test images")
    return parser.parse_args(arguments)


def build(
    options: argparse.Namespace, weights: pathlib.Path | None
) -> keras.Model:
    """Builds the classifier, with the weights of a file.

    Args:
        options: The options.
        weights: The file; `None` for random weights.

    Returns:
        The model.
    """
    return keras_twins.classifier(
        options.variant,
        weights=weights,
        input_shape=(options.size, options.size, 3),
    )


def write(model: keras.Model, options: argparse.Namespace) -> None:
    """Writes the weights in the format that the name of the file asks for.

    Args:
        model: The model.
        options: The options.
    """
    if options.target.name.endswith(".weights.h5"):
        model.save_weights(options.target)
    else:
        config = keras_twins.VARIANTS[options.variant]
        state = export_state(model, config)
        write_safetensors(state, options.target)


if __name__ == "__main__":
    main()
