"""Run a Twins model on a phone: LiteRT, with nothing but NumPy.

What: `LiteRTClassifier` below is all that a device needs: it imports neither
Keras nor this package, and can be copied. It takes pixels as a camera gives
them, `uint8` of any size, cuts and resizes them, and returns the classes with
their scores. `main` makes a `.tflite` file to run it on, unless it gets one.

Expected result: for each picture the three best classes, and the time that
one picture takes. Without `--file` the file is an export of a small model
with random values, so what it names means nothing; the whole takes half a
minute on two CPU cores, the export included.

Command:
    keras-twins export svt_small twins.tflite --uint8 --precision dynamic_int8
    python examples/run_litert.py --file twins.tflite --labels imagenet
"""

import argparse
import pathlib
import tempfile
import time
from collections.abc import Sequence

import numpy as np


class LiteRTClassifier:
    """Names what is in pictures, with a `.tflite` file.

    Args:
        path: A file that was exported with `input_dtype="uint8"`.
        threads: Number of threads.
    """

    def __init__(self, path: str, threads: int = 2):
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=path, num_threads=threads)
        self._run = interpreter.get_signature_runner()
        ((self._input, details),) = self._run.get_input_details().items()
        _, self.height, self.width, _ = details["shape"]
        if details["dtype"] != np.uint8:
            raise ValueError(
                f"{path} takes {np.dtype(details['dtype'])}. Export it with "
                '`input_dtype="uint8"`, or `keras-twins export --uint8`.'
            )

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Returns the score of each class.

        Args:
            picture: Pixels of shape `(height, width, 3)`, `uint8`.

        Returns:
            Scores of shape `(classes,)`.
        """
        pixels = self.cut(picture)[np.newaxis]
        (scores,) = self._run(**{self._input: pixels}).values()
        return scores[0]

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """Returns the middle of a picture, of the size of the model.

        The nearest pixel is taken: simple, and good enough for a preview; a
        phone's own scaler (bilinear, antialiased) is better.

        Args:
            picture: Pixels of shape `(height, width, 3)`.

        Returns:
            Pixels of the model's height and width.
        """
        height, width = picture.shape[:2]
        scale = min(height / self.height, width / self.width)
        rows = np.arange(self.height) - (self.height - 1) / 2
        columns = np.arange(self.width) - (self.width - 1) / 2
        at_rows = np.rint(rows * scale + (height - 1) / 2).astype(int)
        at_columns = np.rint(columns * scale + (width - 1) / 2).astype(int)
        return picture[at_rows][:, at_columns]


def main(arguments: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Classifies pictures.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        Scores by the name of the picture.
    """
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or export_small_model(folder)
        classifier = LiteRTClassifier(path, options.threads)
        names = class_names(options.labels)
        scores = {}
        for name, picture in load_pictures(options.pictures).items():
            start = time.perf_counter()
            scores[name] = classifier(picture)
            seconds = time.perf_counter() - start
            print(f"{name} ({1000 * seconds:.1f} ms)")
            for label in np.argsort(-scores[name])[:3]:
                shown = names[label] if names else f"class {label}"
                print(f"  {scores[name][label]:6.1%}  {shown}")
    return scores


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "pictures", nargs="*", help="files; by default two photographs"
    )
    parser.add_argument("--file", help="a .tflite file that takes uint8")
    parser.add_argument("--labels", choices=["imagenet"])
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


def export_small_model(folder: str) -> str:
    """Writes a `.tflite` file of a small model with random values.

    Args:
        folder: Where it goes.

    Returns:
        Its path.
    """
    import keras_twins
    from keras_twins.export import export_model

    config = keras_twins.TwinsConfig(
        embed_dims=(16, 32, 48, 64),
        depths=(1, 1, 1, 1),
        num_heads=(1, 2, 3, 4),
        mlp_ratios=(2, 2, 2, 2),
        attention_pattern=("L", "G", "L", "G"),
    )
    model = keras_twins.classifier(config, input_shape=(96, 96, 3), classes=10)
    path = pathlib.Path(folder) / "small.tflite"
    print(export_model(model, path, "litert", input_dtype="uint8"))
    return str(path)


def class_names(labels: str | None) -> list[str]:
    """Returns the names of the classes.

    Args:
        labels: `"imagenet"`, or `None` for none.

    Returns:
        The names, in the order of the scores.
    """
    if labels is None:
        return []
    from keras_twins.imagenet import class_names

    return [name.replace("_", " ") for _, name in class_names()]


def load_pictures(paths: list[str]) -> dict[str, np.ndarray]:
    """Loads pictures as a decoder gives them.

    Args:
        paths: Files; if there are none, scikit-learn's photographs.

    Returns:
        Pixels of shape `(height, width, 3)`, `uint8`, by name.
    """
    if not paths:
        from keras_twins.data import load_photographs

        return load_photographs()
    from PIL import Image

    return {path: np.asarray(Image.open(path).convert("RGB")) for path in paths}


if __name__ == "__main__":
    main()
