"""The steps of the demo in order."""

import os
import pathlib
import time
from collections.abc import Callable
from collections.abc import Iterator

import keras

from keras_twins.canvas import require_matplotlib
from keras_twins.data import load_digits
from keras_twins.demo import pictures
from keras_twins.demo.checks import ARTIFACTS
from keras_twins.demo.checks import Outcome
from keras_twins.demo.checks import check_export
from keras_twins.demo.checks import check_reload
from keras_twins.demo.photographs import UnreachableWeightsError
from keras_twins.demo.photographs import classify_photographs
from keras_twins.demo.result import DemoResult
from keras_twins.demo.result import Step
from keras_twins.demo.training import EPOCHS
from keras_twins.demo.training import IMAGE_SIZE
from keras_twins.demo.training import Trained
from keras_twins.demo.training import train
from keras_twins.export import ExportError
from keras_twins.weights.errors import CheckpointError

Check = tuple[str, Callable[[], Outcome]]
"""Name of a step, and what does it."""


def run_demo(
    out: str | os.PathLike[str],
    epochs: int | None = None,
    *,
    seed: int = 0,
    min_accuracy: float = 0.97,
    photograph_weights: str = "imagenet",
    timeout: float = 5.0,
) -> DemoResult:
    """Trains a small Twins on handwritten digits, and checks what it gives.

    Prints each step, ends with a table, and writes the model, its exports,
    pictures and `report.json`.

    Args:
        out: Folder for everything that is written.
        epochs: Number of epochs; by default 20, which reach about 99 % of
            the held-out digits.
        seed: Seed of everything random.
        min_accuracy: Accuracy on the held-out digits below which the demo
            has failed.
        photograph_weights: Weights of the Twins-SVT-S that classifies two
            photographs: `"imagenet"`, or the path of a file.
        timeout: Seconds without an answer after which the published weights
            count as unreachable.

    Returns:
        A `DemoResult`; its `exit_code` is 1 if a step failed.

    Raises:
        ImportError: If matplotlib or scikit-learn is missing.

    Example:

    ```python
    from keras_twins.demo import run_demo

    result = run_demo("results/demo")
    ```
    """
    require_matplotlib()
    folder = pathlib.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    training, test = load_digits(IMAGE_SIZE, seed=seed)
    backend = keras.backend.backend()
    print(f"Backend {backend}; the results go to {folder}.", flush=True)
    print(f"{len(training[1])} digits to train on, {len(test[1])} held out.")
    trained = train(training, test, EPOCHS if epochs is None else epochs, seed)
    checks = [
        ("training", lambda: ("ok", trained.summary())),
        (
            "test accuracy",
            lambda: judge_accuracy(
                trained.accuracy, len(test[1]), min_accuracy
            ),
        ),
        *_checks(trained, folder),
        (
            "photographs",
            lambda: _photographs(photograph_weights, timeout, folder),
        ),
    ]
    result = DemoResult(
        backend=backend,
        accuracy=trained.accuracy,
        parameters=trained.model.count_params(),
        steps=tuple(_run(checks, {"training": trained.seconds})),
    )
    result.write(folder / "report.json")
    print(f"\n{result.table()}\n\n{result.verdict()}", flush=True)
    return result


def _checks(trained: Trained, folder: pathlib.Path) -> Iterator[Check]:
    """Yields the checks that follow the training."""
    model, images = trained.model, trained.test_images
    yield (
        "save, reload",
        lambda: check_reload(model, images, folder / "digits.keras"),
    )
    for format in ARTIFACTS:
        yield (
            f"export {format}",
            lambda format=format: check_export(model, images, format, folder),
        )
    yield "pictures", lambda: _pictures(trained, folder)


def _run(checks: list[Check], known: dict[str, float]) -> Iterator[Step]:
    """Yields each check as a step; prints it when it is done."""
    for name, check in checks:
        start = time.perf_counter()
        try:
            status, result = check()
        except (ExportError, CheckpointError) as error:
            status, result = "failed", _one_line(error)
        except (UnreachableWeightsError, ImportError) as error:
            status, result = "skipped", _one_line(error)
        seconds = known.get(name, time.perf_counter() - start)
        print(f"{name}: {status}, {result}", flush=True)
        yield Step(name=name, status=status, result=result, seconds=seconds)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def judge_accuracy(accuracy: float, count: int, minimum: float) -> Outcome:
    """Says whether an accuracy is high enough.

    Args:
        accuracy: Fraction of the held-out digits that are right.
        count: Number of held-out digits.
        minimum: Smallest fraction that is accepted.

    Returns:
        Status and what was measured.
    """
    result = (
        f"{accuracy:.2%} of {count} held-out digits (at least {minimum:.0%})"
    )
    return ("ok" if accuracy >= minimum else "failed"), result


def _pictures(trained: Trained, folder: pathlib.Path) -> Outcome:
    labels, probabilities = trained.test_labels, trained.probabilities
    names = {
        "predictions.png": lambda path: pictures.draw_predictions(
            path, trained.test_images, labels, probabilities
        ),
        "confusion.png": lambda path: pictures.draw_confusion(
            path, labels, probabilities.argmax(axis=-1)
        ),
        "training.png": lambda path: pictures.draw_training(
            path, trained.history
        ),
    }
    for name, draw in names.items():
        draw(folder / name)
    return "ok", ", ".join(names)


def _photographs(weights: str, timeout: float, folder: pathlib.Path) -> Outcome:
    seen = classify_photographs(weights, timeout)
    pictures.draw_photographs(folder / "photographs.png", seen)
    best = [(photograph.name, *photograph.classes[0]) for photograph in seen]
    return "ok", "; ".join(
        f"{name}: {label} {score:.0%}" for name, label, score in best
    )
