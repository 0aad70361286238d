"""Build your own Twins, and see what each part of it is good for.

What: takes a small Twins-SVT for images of 32 pixels apart, as the paper's
ablations do: only local attention, only global attention, two local blocks
for each global one, no position encoding, sub-sampling by average pooling.
Each one is trained for a few epochs on scikit-learn's handwritten digits.

Expected result: a table of parameters, multiply-accumulates (MMACs) and
accuracy on 359 held-out digits. On two CPU cores with TensorFlow, one run
took 4 minutes and gave (differences below 1 % are noise):

                       parameters  MMACs accuracy
    twins-svt             570,378  14.47    96.9%
    only local (LSA)      553,802  14.60    95.5%
    only global (GSA)     620,010  13.98    96.9%
    LLG                   570,378  14.47    96.4%
    no PEG                567,178  14.34    95.8%
    average pooling       553,930  14.21    96.4%

Command:
    python examples/custom_twins.py --epochs 10
"""

import argparse
import dataclasses
import time
from collections.abc import Mapping
from collections.abc import Sequence

import keras
import numpy as np

import keras_twins
from keras_twins.data import load_digits
from keras_twins.flops import count_flops

SMALL = keras_twins.TwinsConfig(
    embed_dims=(32, 64, 96, 128),
    depths=(1, 3, 3, 1),
    num_heads=(1, 2, 3, 4),
    mlp_ratios=(2, 2, 2, 2),
    attention_pattern=("LG", "LG", "LG", "G"),
    patch_sizes=(2, 2, 2, 2),
    sr_ratios=(4, 2, 1, 1),
    window_sizes=(4, 4, 4, 2),
)

ABLATIONS: Mapping[str, keras_twins.TwinsConfig] = {
    "twins-svt": SMALL,
    "only local (LSA)": dataclasses.replace(
        SMALL, attention_pattern=("L", "L", "L", "L")
    ),
    "only global (GSA)": dataclasses.replace(
        SMALL, attention_pattern=("G", "G", "G", "G")
    ),
    "LLG": dataclasses.replace(
        SMALL, attention_pattern=("LLG", "LLG", "LLG", "G")
    ),
    "no PEG": dataclasses.replace(SMALL, position_encoding="none"),
    "average pooling": dataclasses.replace(SMALL, reduction="average_pool"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: Name of the ablation.
        parameters: Number of parameters.
        macs: Multiply-accumulates for one image.
        accuracy: Fraction of held-out digits that are right.
        seconds: Time of building and training.
    """

    name: str
    parameters: int
    macs: int
    accuracy: float
    seconds: float


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Trains the ablations and prints the table.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        The rows of the table.
    """
    options = parse(arguments)
    rows = []
    print(f"{'':18} {'parameters':>10} {'MMACs':>6} {'accuracy':>8} {'s':>5}")
    for name in options.only or ABLATIONS:
        row = measure(name, ABLATIONS[name], options.epochs, options.images)
        print(
            f"{row.name:18} {row.parameters:10,} {row.macs / 1e6:6.2f} "
            f"{row.accuracy:8.1%} {row.seconds:5.0f}",
            flush=True,
        )
        rows.append(row)
    return rows


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument(
        "--images", type=int, default=None, help="training images; all"
    )
    parser.add_argument("--only", nargs="*", choices=ABLATIONS)
    return parser.parse_args(arguments)


def measure(
    name: str,
    config: keras_twins.TwinsConfig,
    epochs: int,
    images: int | None,
) -> Row:
    """Trains one architecture on the digits.

    Args:
        name: Name of the row.
        config: The architecture.
        epochs: Number of epochs.
        images: Number of training images; `None` for all.

    Returns:
        The row of the table.
    """
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    (x_train, y_train), (x_test, y_test) = load_digits(32)
    model = keras_twins.classifier(
        config, input_shape=(32, 32, 3), classes=10, drop_path_rate=0.05
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-3, weight_decay=0.05),
        loss="sparse_categorical_crossentropy",
    )
    order = np.random.default_rng(0).permutation(len(x_train))[:images]
    model.fit(x_train[order], y_train[order], 64, epochs, verbose=0)
    predicted = model.predict(x_test, verbose=0).argmax(axis=-1)
    return Row(
        name=name,
        parameters=model.count_params(),
        macs=count_flops(model, (32, 32, 3)).total_macs,
        accuracy=float((predicted == y_test).mean()),
        seconds=time.perf_counter() - start,
    )


if __name__ == "__main__":
    main()
