"""The steps of the demo in order."""

import pathlib
import time
from collections.abc import Callable

import keras
import numpy as np

from keras_twins.data import load_digits
from keras_twins.demo import photographs
from keras_twins.demo import pictures
from keras_twins.demo.checks import ARTIFACTS
from keras_twins.demo.checks import Outcome
from keras_twins.demo.checks import check_export
from keras_twins.demo.checks import check_reload
from keras_twins.demo.result import DemoResult
from keras_twins.demo.result import Step
from keras_twins.demo.training import EPOCHS
from keras_twins.demo.training import IMAGE_SIZE
from keras_twins.demo.training import train
from keras_twins.export import ExportError


def run_demo(
    out: pathlib.Path,
    epochs: int | None = None,
    *,
    seed: int = 0,
    min_accuracy: float = 0.97,
    photograph_weights: str = "imagenet",
    timeout: float = 5.0,
) -> DemoResult:
    """Trains a small Twins on handwritten digits, and checks what it gives.

    Prints each step, ends with a table, and writes the model, its exports,
    four pictures and `report.json`.

    Args:
        out: Folder for everything that is written.
        epochs: Number of epochs; by default 20, which reach 98 to 99 % of the
            held-out digits.
        seed: Seed of everything random.
        min_accuracy: Accuracy on the held-out digits below which the demo
            has failed.
        photograph_weights: Weights of the Twins-SVT-S that classifies two
            photographs: `"imagenet"`, or the path of a file.
        timeout: Seconds without an answer after which the published weights
            count as unreachable.

    Returns:
        A `DemoResult`; `exit_code` is 1 if a step failed.

    Raises:
        ImportError: If a package that the demo needs is missing.

    Example:

    ```python
    result = keras_twins.demo.run_demo(pathlib.Path("results/demo"))
    ```
    """
    pictures.require_matplotlib()
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    recorder = _Recorder()
    training, test = load_digits(IMAGE_SIZE, seed=seed)
    print(f"Keras backend: {keras.backend.backend()}; results go to {out}")
    print(f"{len(training[0])} digits to train on, {len(test[0])} held out")

    start = time.perf_counter()
    epochs = EPOCHS if epochs is None else epochs
    model, history = train(*training, test, epochs, seed)
    parameters = model.count_params()
    text = f"{parameters:,} parameters, {epochs} epochs"
    recorder.note("training", ("ok", text), start)

    probabilities = recorder.evaluate(model, test, min_accuracy)
    recorder.check(
        "saved and reloaded",
        lambda: check_reload(model, test[0], out / "digits.keras"),
    )
    for format in ARTIFACTS:
        recorder.check(
            f"exported: {format}",
            lambda format=format: check_export(model, test[0], format, out),
        )
    recorder.check(
        "pictures",
        lambda: _draw(out, history, test, probabilities),
    )
    recorder.check(
        "photographs",
        lambda: _classify(photograph_weights, timeout, out),
    )
    result = DemoResult(
        backend=keras.backend.backend(),
        accuracy=recorder.accuracy,
        parameters=parameters,
        steps=tuple(recorder.steps),
    )
    result.write(out / "report.json")
    print(f"\n{result.table()}")
    return result
