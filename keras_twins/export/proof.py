"""The proof of an export: the artefact, run next to Keras."""

import dataclasses
import math
import os
import pathlib
import time
from typing import Any

import keras
import numpy as np

from keras_twins.export.comparison import Outputs
from keras_twins.export.comparison import choose_limits
from keras_twins.export.formats import load_artifact
from keras_twins.export.judgement import NOT_FINITE
from keras_twins.export.judgement import judge
from keras_twins.export.plan import Runner
from keras_twins.export.probe import describe_probe
from keras_twins.export.probe import probe_images
from keras_twins.export.report import ExportError
from keras_twins.export.report import ExportReport
from keras_twins.export.report import artifact_bytes
from keras_twins.export.serving import compute_dtypes
from keras_twins.export.timing import time_in_turns

_BATCH = 8
"""Images that run at once."""

_REASON_LENGTH = 300


def prove(
    model: keras.Model,
    path: str | os.PathLike[str],
    format: str,
    precision: str = "float32",
    images: np.ndarray | None = None,
    tolerance: float | None = None,
    min_agreement: float | None = None,
) -> ExportReport:
    """Runs an artefact in its own runtime and compares it with Keras.

    Args:
        model: The model that was exported.
        path: The artefact.
        format: Its format.
        precision: Its precision, a key of `comparison.LIMITS`.
        images: Images of the shape and dtype of the model's input; by
            default those of `probe_images`.
        tolerance: Largest difference from Keras that is accepted, as a
            fraction of Keras's largest output; by default, that of the
            precision.
        min_agreement: Smallest fraction of images with the same top-1 class
            that is accepted; by default, that of the precision.

    Returns:
        The report card.

    Raises:
        ExportError: If the artefact cannot be run or misses a limit; its
            `report` is the card.
        ImportError: If the format's runtime is missing; or if there are no
            `images`, and scikit-learn is missing.
        ValueError: If a limit is out of range.
    """
    path = pathlib.Path(path)
    limits = choose_limits(
        precision, tolerance, min_agreement, compute_dtypes(model)
    )
    batch = probe_images(model) if images is None else images
    card = ExportReport(
        format=format,
        precision=precision,
        backend=keras.backend.backend(),
        path=path,
        bytes=artifact_bytes(path),
        images=len(batch),
        image_source=describe_probe(model) if images is None else "as given",
        limits=limits,
    )
    start = time.perf_counter()
    try:
        run = load_artifact(path, format)
        seconds = time.perf_counter() - start
        card = dataclasses.replace(card, load_seconds=seconds)
        received = run_all(run, batch)
    except ImportError:
        raise
    # Each runtime has errors of its own; all mean the same.
    except Exception as error:
        raise _cannot_run(card, error) from error
    card = compare(card, model, run, batch, received)
    if not card.accepted:
        raise _refused(card)
    return card


def compare(
    card: ExportReport,
    model: keras.Model,
    run: Runner,
    images: np.ndarray,
    received: Outputs,
) -> ExportReport:
    """Runs Keras next to a program and fills in the program's report card.

    Args:
        card: The card, with the limits.
        model: The model.
        run: The program.
        images: Images of the shape and dtype of the model's input.
        received: What the program gives for them, from `run_all`.

    Returns:
        The card with differences and problems; with times, if there are no
        problems.
    """
    keras_run = keras_runner(model)
    expected = run_all(keras_run, images)
    card = judge(card, model, expected, received)
    if not card.accepted:
        return card
    return dataclasses.replace(card, **_race(keras_run, run, images))


def keras_runner(model: keras.Model) -> Runner:
    """Returns what runs a model in Keras.

    Args:
        model: The model.

    Returns:
        A runner of any batch.
    """

    def run(batch: np.ndarray) -> Outputs:
        outputs = model.predict_on_batch(batch)
        return [np.asarray(x) for x in keras.tree.flatten(outputs)]

    return run


def run_all(run: Runner, images: np.ndarray) -> Outputs:
    """Runs all images, in batches of one size.

    Args:
        run: The program.
        images: Images of shape `(n, height, width, channels)`.

    Returns:
        Outputs of shape `(n, ...)`, `float32`.
    """
    size = min(_BATCH, len(images))
    # Another size would be compiled anew: the last batch begins again.
    count = size * math.ceil(len(images) / size)
    filled = images[np.arange(count) % len(images)]
    parts = [run(filled[i : i + size]) for i in range(0, count, size)]
    return [
        np.concatenate(part)[: len(images)].astype("float32")
        for part in zip(*parts, strict=True)
    ]


def _cannot_run(card: ExportReport, error: Exception) -> ExportError:
    reason = " ".join(str(error).split()) or type(error).__name__
    problem = f"It cannot be run here: {reason[-_REASON_LENGTH:]}"
    return ExportError(
        f"The exported {card.format!r} artefact is refused. {problem}",
        dataclasses.replace(card, problems=(problem,)),
    )


def _refused(card: ExportReport) -> ExportError:
    advice = (
        "Where that is good enough, pass a larger `tolerance` or a smaller "
        "`min_agreement`; more and typical `images` make the comparison surer."
    )
    if NOT_FINITE in card.problems:
        advice = "Look for NaN and infinity in the weights and the images."
    return ExportError(
        f"The exported {card.format!r} artefact ({card.precision}) is "
        f"refused. {' '.join(card.problems)} {advice}",
        card,
    )


def _race(keras_run: Runner, run: Runner, images: np.ndarray) -> dict[str, Any]:
    """Measures both, one image and a batch at a time."""
    one, many = images[:1], images[:_BATCH]
    keras_one, artifact_one = time_in_turns(
        [lambda: keras_run(one), lambda: run(one)]
    )
    keras_many, artifact_many = time_in_turns(
        [lambda: keras_run(many), lambda: run(many)]
    )
    return {
        "latency_ms": 1000 * artifact_one,
        "keras_latency_ms": 1000 * keras_one,
        "batch": len(many),
        "throughput": len(many) / artifact_many,
        "keras_throughput": len(many) / keras_many,
    }
