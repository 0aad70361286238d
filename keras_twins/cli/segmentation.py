"""The commands that segment images, and that evaluate segmentation."""

import argparse
import contextlib
import pathlib
import sys

from keras_twins.cli.arguments import positive
from keras_twins.cli.arguments import variant_or_file
from keras_twins.cli.checks import check_model_options
from keras_twins.cli.checks import check_target
from keras_twins.cli.checks import share
from keras_twins.cli.results import write_json
from keras_twins.cli.segmentation_inputs import HEADS
from keras_twins.cli.segmentation_inputs import class_count
from keras_twins.cli.segmentation_inputs import class_names_and_colors
from keras_twins.cli.segmentation_inputs import examples
from keras_twins.cli.segmentation_inputs import inference_settings
from keras_twins.cli.segmentation_inputs import segmentation_model
from keras_twins.config import DIALECTS
from keras_twins.segmentation.passes import MULTI_SCALES

_SHOWN = 5
_ADVICE = "Pass ade20k, or the path of a file with all weights."


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `segment` and `eval-seg`.

    Args:
        commands: The commands so far.
    """
    sub = commands.add_parser("segment", help="what each pixel belongs to")
    sub.add_argument("image", metavar="IMAGE")
    sub.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path("overlay.png"),
        help="the picture (default overlay.png)",
    )
    sub.add_argument(
        "--alpha", type=share, default=0.5, help="share of the colours"
    )
    _add_model(sub)
    _add_inference(sub)
    sub.set_defaults(run=segment, fail=sub.error)

    sub = commands.add_parser(
        "eval-seg", help="mean IoU on a data set in the layout of ADE20K"
    )
    sub.add_argument(
        "--data",
        type=pathlib.Path,
        required=True,
        help="folder with images/ and annotations/",
    )
    sub.add_argument("--split", default="validation")
    sub.add_argument(
        "--keep-zero-label",
        action="store_true",
        help="0 is a class, not what is not annotated",
    )
    sub.add_argument("--json", type=pathlib.Path, help="write the results")
    _add_model(sub)
    _add_inference(sub)
    sub.set_defaults(run=evaluate, fail=sub.error)


def _add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--model",
        type=variant_or_file,
        default="svt_small",
        help="such as svt_base, or a .keras file, which has its own head, "
        "weights and classes",
    )
    sub.add_argument("--head", choices=HEADS, help="default upernet")
    sub.add_argument(
        "--weights",
        help="ade20k (default; downloaded once), or the path of a weights file",
    )
    sub.add_argument(
        "--classes", type=positive, help="of the weights file (default 150)"
    )
    sub.add_argument(
        "--dialect",
        choices=sorted(DIALECTS),
        help="numeric details; files in the names of a code base tell theirs, "
        "a .weights.h5 file needs it",
    )


def _add_inference(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--mode", choices=("whole", "slide"), default="whole")
    sub.add_argument(
        "--multi-scale",
        action="store_true",
        help=f"mean over {len(MULTI_SCALES)} scales and mirror images",
    )
    sub.add_argument(
        "--resize",
        nargs=2,
        type=positive,
        metavar=("LONG", "SHORT"),
        default=(2048, 512),
        help="most pixels of the two sides (default 2048 512)",
    )
    sub.add_argument(
        "--window", type=positive, default=512, help="side in pixels"
    )
    sub.add_argument(
        "--stride", type=positive, default=341, help="of the window"
    )


def segment(arguments: argparse.Namespace) -> int:
    """Draws what each pixel of an image belongs to.

    Args:
        arguments: `image`, `out`, `alpha`, those of the model and of
            inference, and `fail`, which ends the process after wrong usage.

    Returns:
        Exit code.
    """
    import numpy as np

    from keras_twins.canvas import picture_format
    from keras_twins.preprocessing import read_image
    from keras_twins.segmentation.inference import segment_images
    from keras_twins.segmentation.pictures import write_overlay

    check_model_options(arguments, _ADVICE)
    check_target(arguments, arguments.out, [arguments.image])
    picture_format(arguments.out)
    settings = inference_settings(arguments)
    image = read_image(arguments.image)
    with contextlib.redirect_stdout(sys.stderr):
        model = segmentation_model(arguments)
        names, palette = class_names_and_colors(class_count(model))
        (result,) = segment_images(model, [image], settings)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_overlay(
        arguments.out,
        image,
        result.labels,
        names,
        palette,
        arguments.alpha,
        ignore_class=None,
    )
    counts = np.bincount(result.labels.ravel(), minlength=len(names))
    for label in np.argsort(-counts, kind="stable")[:_SHOWN]:
        if counts[label]:
            print(f"{counts[label] / counts.sum():6.1%}  {names[label]}")
    print(arguments.out)
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Prints mean IoU, mean accuracy and pixel accuracy.

    Args:
        arguments: `data`, `split`, `keep_zero_label`, `json`, those of the
            model and of inference, and `fail`, which ends the process after
            wrong usage.

    Returns:
        Exit code.
    """
    from keras_twins.data.ade20k import list_pairs
    from keras_twins.segmentation.evaluation import evaluate_segmentation

    check_model_options(arguments, _ADVICE)
    if arguments.json is not None:
        check_target(arguments, arguments.json)
    settings = inference_settings(arguments)
    with contextlib.redirect_stdout(sys.stderr):
        # Before the model, which takes longer.
        pairs = list_pairs(arguments.data, arguments.split)
        model = segmentation_model(arguments)
        count = class_count(model)
        found = examples(pairs, count, arguments.keep_zero_label)
        scores = evaluate_segmentation(model, found, count, settings, say=print)
    print(f"images          {scores.images}")
    print(f"mean IoU        {scores.mean_iou:.2%}")
    print(f"mean accuracy   {scores.mean_accuracy:.2%}")
    print(f"pixel accuracy  {scores.pixel_accuracy:.2%}")
    if arguments.json is not None:
        names, _ = class_names_and_colors(count)
        results = {**scores.to_dict(), "class_names": list(names)}
        write_json(results, arguments.json)
    return 0
