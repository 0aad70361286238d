"""The commands that segment images, and that evaluate segmentation."""

import argparse
import contextlib
import dataclasses
import importlib
import json
import pathlib
import sys
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.cli.arguments import positive
from keras_twins.cli.arguments import variant_or_file
from keras_twins.segmentation.passes import MULTI_SCALES
from keras_twins.segmentation.passes import InferenceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras
    import numpy as np

_HEADS = ("semantic_fpn", "upernet")
_SHOWN = 5


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
        "--alpha", type=float, default=0.5, help="share of the colours"
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
        help="such as svt_base, or a .keras file",
    )
    sub.add_argument("--head", choices=_HEADS, default="upernet")
    sub.add_argument(
        "--weights",
        default="ade20k",
        help="ade20k (downloaded once), or the path of a weights file",
    )
    sub.add_argument(
        "--classes", type=positive, default=150, help="of the weights file"
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
        arguments: `image`, `out`, `alpha`, and those of the model and of
            inference.

    Returns:
        Exit code.
    """
    import numpy as np

    from keras_twins.preprocessing import read_image
    from keras_twins.segmentation.inference import segment_images
    from keras_twins.segmentation.pictures import write_overlay

    image = read_image(arguments.image)
    with contextlib.redirect_stdout(sys.stderr):
        model = _model(arguments)
        settings = _settings(arguments, model)
        (result,) = segment_images(model, [image], settings)
    names, palette = _classes(_class_count(model))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_overlay(
        arguments.out, image, result.labels, names, palette, arguments.alpha
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
        arguments: `data`, `split`, `keep_zero_label`, `json`, and those of
            the model and of inference.

    Returns:
        Exit code.
    """
    from keras_twins.segmentation.evaluation import evaluate_segmentation
    from keras_twins.weights.files import replace_file

    with contextlib.redirect_stdout(sys.stderr):
        model = _model(arguments)
        count = _class_count(model)
        scores = evaluate_segmentation(
            model,
            _examples(arguments, count),
            count,
            _settings(arguments, model),
            say=print,
        )
    names, _ = _classes(count)
    results = {**scores.to_dict(), "class_names": list(names)}
    if arguments.json is not None:
        with replace_file(arguments.json) as temporary:
            temporary.write_text(json.dumps(results, indent=1) + "\n")
    print(f"images          {scores.images}")
    print(f"mean IoU        {scores.mean_iou:.2%}")
    print(f"mean accuracy   {scores.mean_accuracy:.2%}")
    print(f"pixel accuracy  {scores.pixel_accuracy:.2%}")
    return 0


def _model(arguments: argparse.Namespace) -> "keras.Model":
    import keras

    from keras_twins.segmentation import SemanticFPN
    from keras_twins.segmentation import UPerNet

    if isinstance(arguments.model, pathlib.Path):
        return keras.saving.load_model(arguments.model, compile=False)
    cls = {"semantic_fpn": SemanticFPN, "upernet": UPerNet}[arguments.head]
    return cls.from_twins(arguments.model, arguments.weights, arguments.classes)


def _class_count(model: "keras.Model") -> int:
    return int(model.output_shape[-1])


def _settings(arguments: argparse.Namespace, model: Any) -> InferenceSettings:
    settings = InferenceSettings(
        mode=arguments.mode,
        resize=tuple(arguments.resize),
        size=arguments.window,
        stride=arguments.stride,
        from_logits=getattr(model, "classifier_activation", None) is None,
    )
    if not arguments.multi_scale:
        return settings
    return dataclasses.replace(settings, scales=MULTI_SCALES, flip=True)


def _classes(count: int) -> "tuple[tuple[str, ...], np.ndarray]":
    """Returns names and colours: ADE20K's, or numbers for another count."""
    import numpy as np

    from keras_twins import ade20k

    if count == ade20k.NUM_CLASSES:
        return ade20k.class_names(), ade20k.palette()
    colors = np.random.default_rng(0).integers(40, 256, (count, 3))
    return tuple(f"class {i}" for i in range(count)), colors.astype("uint8")


def _examples(
    arguments: argparse.Namespace, count: int
) -> "Iterator[tuple[np.ndarray, np.ndarray]]":
    from keras_twins.data import load_ade20k

    data = load_ade20k(
        arguments.data,
        arguments.split,
        num_classes=count,
        reduce_zero_label=not arguments.keep_zero_label,
    )
    errors = importlib.import_module("tensorflow").errors
    try:
        for example in data.as_numpy_iterator():
            yield example["image"], example["mask"]
    except errors.InvalidArgumentError as error:
        raise ValueError(error.message) from error
