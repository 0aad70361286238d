"""The command that exports a model and shows its report card."""

import argparse
import contextlib
import pathlib
import sys
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.cli.arguments import positive
from keras_twins.cli.arguments import variant_or_file
from keras_twins.cli.saved_models import load_saved_model
from keras_twins.export.comparison import LIMITS
from keras_twins.export.detections import OUTPUTS
from keras_twins.export.formats import FORMATS
from keras_twins.export.formats import SUFFIXES

if TYPE_CHECKING:
    import keras
    import numpy as np

_SIZE = 224


def add_command(commands: argparse._SubParsersAction) -> None:
    """Declares the command and what it takes.

    Args:
        commands: The commands of the program.
    """
    sub = commands.add_parser(
        "export",
        help="to another runtime, with a report card",
        epilog="The artefact is run and compared with Keras; one that misses "
        "a limit is refused, with exit code 1.",
    )
    sub.add_argument(
        "model", type=variant_or_file, help="such as svt_base, or a .keras file"
    )
    sub.add_argument("path", type=pathlib.Path, metavar="PATH")
    sub.add_argument(
        "--format", choices=list(FORMATS), help="by default, from PATH's end"
    )
    sub.add_argument("--precision", choices=list(LIMITS), default="float32")
    sub.add_argument(
        "--outputs",
        choices=OUTPUTS,
        help="of a detector: what it finds (default), or the maps of its heads",
    )
    _add_model(sub)
    _add_proof(sub)
    sub.add_argument(
        "--overwrite", action="store_true", help="replace what is there"
    )
    sub.set_defaults(run=export, fail=sub.error)


def _add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--weights",
        help="imagenet (default; downloaded once), none (random values), or "
        "the path of a weights file",
    )
    sub.add_argument(
        "--size",
        type=positive,
        help="side in pixels (default 224; of a saved model, its own)",
    )
    sub.add_argument("--classes", type=positive, help="default 1000")
    sub.add_argument("--no-top", action="store_true", help="leave out the head")
    sub.add_argument(
        "--uint8", action="store_true", help="take pixels as bytes"
    )
    sub.add_argument(
        "--preprocess",
        action="store_true",
        help="normalise pixels inside, for a saved model that does not",
    )


def _add_proof(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--images",
        nargs="+",
        metavar="IMAGE",
        help="to compare on; by default, parts of two photographs",
    )
    sub.add_argument(
        "--calibration",
        nargs="+",
        metavar="IMAGE",
        help="to find the ranges of int8 on",
    )
    sub.add_argument(
        "--tolerance",
        type=float,
        help="largest difference, as a fraction of the largest output",
    )
    sub.add_argument(
        "--min-agreement",
        type=float,
        metavar="FRACTION",
        help="of images with the same top-1 class, or of the same objects",
    )
    sub.add_argument(
        "--json", type=pathlib.Path, metavar="CARD", help="write the card"
    )


def export(arguments: argparse.Namespace) -> int:
    """Exports a model, and prints how the artefact compares with Keras.

    Args:
        arguments: `model`, `path`, `format`, `precision`, `outputs`,
            `weights`, `size`, `classes`, `no_top`, `uint8`, `preprocess`,
            `images`, `calibration`, `tolerance`, `min_agreement`,
            `overwrite`, `json`, and `fail`, which ends the process after
            wrong usage.

    Returns:
        Exit code: 1 if the artefact is refused.
    """
    from keras_twins.export import ExportError
    from keras_twins.export import export_model

    format = _format(arguments)
    _check_model_options(arguments)
    # Keras and the converters talk where the card belongs.
    with contextlib.redirect_stdout(sys.stderr):
        model = _model(arguments)
        try:
            report = export_model(
                model, arguments.path, format, **_options(arguments, model)
            )
            refusal = None
        except ExportError as error:
            report, refusal = error.report, error
    if report is not None:
        print(report.table())
        if arguments.json is not None:
            report.write(arguments.json)
    if refusal is not None:
        text = " ".join(str(refusal).split())
        print(f"keras-twins: {text}", file=sys.stderr)
        return 1
    return 0


def _format(arguments: argparse.Namespace) -> str:
    """Returns the format that was asked for, or that the path names."""
    if arguments.format is not None:
        return arguments.format
    # A folder without an end may be TensorFlow's format, or OpenVINO's.
    if arguments.path.suffix not in SUFFIXES:
        arguments.fail(
            "--format is needed where PATH ends in none of "
            f"{', '.join(sorted(SUFFIXES))}. Received: {arguments.path}"
        )
    return SUFFIXES[arguments.path.suffix]


def _check_model_options(arguments: argparse.Namespace) -> None:
    """A saved model has weights and a head of its own."""
    if not isinstance(arguments.model, pathlib.Path):
        return
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("weights", "classes", "no_top")
        if getattr(arguments, name)
    ]
    if given:
        arguments.fail(
            f"{', '.join(given)}: only for a variant; {arguments.model} has "
            "its own."
        )


def _model(arguments: argparse.Namespace) -> "keras.Model":
    from keras_twins.applications import classifier

    if isinstance(arguments.model, pathlib.Path):
        return load_saved_model(arguments.model)
    weights = arguments.weights or "imagenet"
    size = arguments.size or _SIZE
    return classifier(
        arguments.model,
        include_top=not arguments.no_top,
        weights=None if weights == "none" else weights,
        input_shape=(size, size, 3),
        classes=arguments.classes or 1000,
    )


def _options(
    arguments: argparse.Namespace, model: "keras.Model"
) -> dict[str, Any]:
    # A variant has been built with its size, which it keeps.
    side = arguments.size
    # Only detectors have a choice of outputs.
    outputs = arguments.outputs
    return {
        "precision": arguments.precision,
        **({} if outputs is None else {"outputs": outputs}),
        "input_dtype": "uint8" if arguments.uint8 else None,
        "preprocess": arguments.preprocess,
        "image_size": side and (side, side),
        "images": _images(arguments.images, model, side),
        "representative_images": _images(arguments.calibration, model, side),
        "tolerance": arguments.tolerance,
        "min_agreement": arguments.min_agreement,
        "overwrite": arguments.overwrite,
    }


def _images(
    paths: list[str] | None, model: "keras.Model", side: int | None
) -> "np.ndarray | None":
    """Returns images, cut to squares of the size of the model."""
    import numpy as np

    from keras_twins.preprocessing import load_image

    if not paths:
        return None
    height, width = model.inputs[0].shape[1:3]
    if height != width:
        raise ValueError(
            "Files of images are cut to squares. Received: a model for images "
            f"of {height} x {width} pixels; export it in Python, with "
            "`export_model(..., images=...)`."
        )
    side = height or side or _SIZE
    return np.stack([load_image(path, side) for path in paths])
