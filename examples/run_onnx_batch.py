"""Classify many pictures in batches with ONNX Runtime.

What: reads pictures on other threads while ONNX Runtime computes, hands them
over in batches of a given size, the last one smaller, and writes the best
class of each picture with its score to a CSV file. Without a folder of
pictures it takes scikit-learn's handwritten digits.

Expected result: a CSV file with a line for each picture, and the number of
pictures a second. Without `--file` the file is an export of a small model
with random values, so what it names means nothing; the whole takes half a
minute on two CPU cores, the export included.

Command:
    keras-twins export svt_small twins.onnx --uint8
    python examples/run_onnx_batch.py pictures --file twins.onnx --batch 32
"""

import argparse
import concurrent.futures
import csv
import pathlib
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np

import keras_twins
from keras_twins.data import load_digits
from keras_twins.export import export_model
from keras_twins.preprocessing import load_image

Picture = tuple[str, Callable[[], np.ndarray]]
"""A name, and what loads the pixels."""


def main(arguments: Sequence[str] | None = None) -> list[tuple[str, int]]:
    """Classifies pictures.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        Name and class of each picture.
    """
    import onnxruntime

    options = parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or export_small_model(folder)
        session = onnxruntime.InferenceSession(
            path, providers=onnxruntime.get_available_providers()
        )
    source = session.get_inputs()[0]
    side, dtype = source.shape[1], source.type
    pictures = find_pictures(options.folder, side)
    start = time.perf_counter()
    rows = []
    for names, pixels in batches(pictures, options.batch):
        ready = pixels.astype("uint8" if "uint8" in dtype else "float32")
        (scores,) = session.run(None, {source.name: ready})
        best = scores.argmax(axis=-1)
        rows += zip(names, best.tolist(), scores.max(axis=-1), strict=True)
    seconds = time.perf_counter() - start
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("picture", "class", "score"), *rows])
    print(f"{options.out}: {len(rows)} pictures, {len(rows) / seconds:.1f} /s")
    return [(name, label) for name, label, _ in rows]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "folder", nargs="?", help="with pictures; by default the digits"
    )
    parser.add_argument("--file", help="an .onnx file")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--out", default="classes.csv")
    return parser.parse_args(arguments)


def export_small_model(folder: str) -> str:
    """Writes an `.onnx` file of a small model with random values.

    Args:
        folder: Where it goes.

    Returns:
        Its path.
    """
    config = keras_twins.TwinsConfig(
        embed_dims=(16, 32, 48, 64),
        depths=(1, 1, 1, 1),
        num_heads=(1, 2, 3, 4),
        mlp_ratios=(2, 2, 2, 2),
        attention_pattern=("L", "G", "L", "G"),
    )
    model = keras_twins.classifier(config, input_shape=(32, 32, 3), classes=10)
    path = pathlib.Path(folder) / "small.onnx"
    print(export_model(model, path, "onnx", input_dtype="uint8"))
    return str(path)


def find_pictures(folder: str | None, side: int) -> list[Picture]:
    """Returns the pictures of a folder, or the held-out digits.

    Args:
        folder: A folder of files that Pillow reads.
        side: Side of the squares that they are cut to.

    Returns:
        Names, and what loads the pixels.
    """
    if folder is None:
        _, (digits, labels) = load_digits(side)
        return [
            (f"digit {number} ({label})", lambda image=image: image)
            for number, (image, label) in enumerate(
                zip(digits, labels, strict=True)
            )
        ]
    paths = sorted(x for x in pathlib.Path(folder).rglob("*") if x.is_file())
    return [(str(x), lambda x=x: load_image(x, side)) for x in paths]


def batches(
    pictures: list[Picture], size: int
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yields batches; the next one is loaded while this one is used.

    Args:
        pictures: Names, and what loads the pixels.
        size: Number of pictures in a batch.

    Yields:
        Names, and pixels of shape `(n, side, side, 3)`.
    """
    parts = [pictures[i : i + size] for i in range(0, len(pictures), size)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [pool.submit(load) for _, load in parts[0]] if parts else []
        for number, part in enumerate(parts):
            following = parts[number + 1 : number + 2]
            jobs, waiting = (
                waiting,
                [pool.submit(load) for later in following for _, load in later],
            )
            yield (
                [name for name, _ in part],
                np.stack([x.result() for x in jobs]),
            )


if __name__ == "__main__":
    main()
