"""The command that evaluates classifiers."""

import argparse
import contextlib
import pathlib
import sys
from typing import TYPE_CHECKING

from keras_twins.cli.arguments import positive
from keras_twins.cli.arguments import variant_or_file
from keras_twins.cli.checks import check_model_options
from keras_twins.cli.data_errors import readable_errors
from keras_twins.cli.saved_models import load_saved_model
from keras_twins.cli.training import add_devices
from keras_twins.config import DIALECTS
from keras_twins.preprocessing import CROP_FRACTIONS

if TYPE_CHECKING:
    import keras

    from keras_twins.training.evaluation import ClassificationScores
    from keras_twins.training.evaluation import ClassMap
    from keras_twins.training.strategies import Distribution


_SIZE = 224


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `eval`.

    Args:
        commands: The commands so far.
    """
    sub = commands.add_parser(
        "eval",
        help="top-1 and top-5 accuracy on a data set",
        description="Evaluates a classifier. Folders of classes named by "
        "their WordNet ids or numbers, such as those of ImageNet-V2, -A, -R "
        "and -Sketch, may hold some of the 1000 classes.",
    )
    sub.add_argument(
        "--data",
        required=True,
        help="a folder SPLIT/CLASS/*.jpeg or CLASS/*.jpeg; tfds:NAME; "
        "tfrecord:GLOB; webdataset:GLOB; digits",
    )
    sub.add_argument(
        "--split", default="val", help="none if the folder holds the classes"
    )
    _add_model(sub)
    sub.add_argument(
        "--crop",
        choices=sorted(CROP_FRACTIONS, reverse=True),
        default="timm",
        help="whose resize and centre crop",
    )
    sub.add_argument(
        "--size",
        type=positive,
        help="in pixels (default that of the .keras file, or 224)",
    )
    sub.add_argument("--batch-size", type=positive, default=64)
    sub.add_argument(
        "--all-classes",
        action="store_true",
        help="let classes that the data set lacks compete, too",
    )
    sub.add_argument(
        "--corrupt",
        choices=("error", "skip"),
        default="error",
        help="what becomes of images that cannot be read",
    )
    sub.add_argument(
        "--out", type=pathlib.Path, help="folder for scores and pictures"
    )
    add_devices(sub)
    sub.set_defaults(run=evaluate, fail=sub.error, head=None)


def _add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--model",
        type=variant_or_file,
        default="svt_small",
        help="such as svt_base, or a .keras file",
    )
    sub.add_argument(
        "--weights",
        help="imagenet (default; downloaded once), or the path of a file",
    )
    sub.add_argument(
        "--classes", type=positive, help="of the weights file (default 1000)"
    )
    sub.add_argument(
        "--dialect",
        choices=sorted(DIALECTS),
        help="numeric details of the code base that trained the weights",
    )


def evaluate(arguments: argparse.Namespace) -> int:
    """Prints accuracies, and writes them if asked for.

    Args:
        arguments: As `add_command` adds them.

    Returns:
        Exit code.
    """
    from keras_twins.training import distribution
    from keras_twins.training.results import write_results

    if isinstance(arguments.model, pathlib.Path):
        check_model_options(arguments, "")
    where = distribution(arguments.strategy, devices=arguments.devices)
    with contextlib.redirect_stdout(sys.stderr), readable_errors():
        scores, names = _scores(arguments, where)
    if where.is_chief:
        print(f"images  {scores.images}")
        for name, value in scores.summary().items():
            text = f"{value:.4f}" if name == "loss" else f"{value:.2%}"
            print(f"{name:<6}  {text}")
        print(f"crop    {arguments.crop}")
        if arguments.out is not None:
            write_results(arguments.out, scores, names)
    where.close()
    return 0


def _scores(
    arguments: argparse.Namespace, where: "Distribution"
) -> "tuple[ClassificationScores, tuple[str, ...]]":
    """Returns the scores, and the names of what is scored."""
    import numpy as np

    from keras_twins.data.classification import CorruptImages
    from keras_twins.data.classification import image_evaluation_batches
    from keras_twins.data.classification import load_images
    from keras_twins.preprocessing import evaluation_crop
    from keras_twins.training.evaluation import evaluate_classification

    split = None if arguments.split == "none" else arguments.split
    # Before the model, which takes longer.
    dataset = load_images(arguments.data, split)
    with where.scope():
        model = _model(arguments)
    size = _size(arguments, model)
    class_map, names = _classes(arguments, dataset.class_names, model)
    corrupt = CorruptImages(arguments.corrupt)
    batches = image_evaluation_batches(
        dataset,
        evaluation_crop(arguments.crop, size),
        arguments.batch_size,
        shard=where.shard,
        corrupt=corrupt,
    )
    count = len(dataset.class_names)
    scores = evaluate_classification(model, batches, count, where, class_map)
    total = int(where.sum_arrays([np.array([corrupt.count])])[0][0])
    if total and where.is_chief:
        print(f"{total} images could not be read.")
    return scores, names


def _size(arguments: argparse.Namespace, model: "keras.Model") -> int:
    """Returns the side of the images that the model takes."""
    own = model.input_shape[1]
    if own is not None and arguments.size not in (None, own):
        raise ValueError(
            f"The model takes images of {own} pixels. Received: --size "
            f"{arguments.size}"
        )
    return own or arguments.size or _SIZE


def _classes(
    arguments: argparse.Namespace,
    names: tuple[str, ...],
    model: "keras.Model",
) -> "tuple[ClassMap | None, tuple[str, ...]]":
    """Returns which output stands for which class, and the names."""
    from keras_twins import imagenet
    from keras_twins.training.evaluation import imagenet_class_map

    classes = int(model.output_shape[-1])
    if classes != imagenet.NUM_CLASSES or arguments.classes:
        if len(names) != classes:
            raise ValueError(
                f"The model tells {classes} classes apart. Received: "
                f"{len(names)} classes of images, such as {list(names[:3])}"
            )
        return None, names
    restrict = not arguments.all_classes
    class_map = imagenet_class_map(names, restrict)
    known = [" ".join(x) for x in imagenet.class_names()]
    if not restrict:
        return class_map, tuple(known)
    return class_map, tuple(known[i] for i in class_map.outputs)


def _model(arguments: argparse.Namespace) -> "keras.Model":
    from keras_twins.applications import classifier

    if isinstance(arguments.model, pathlib.Path):
        return load_saved_model(arguments.model)
    size = arguments.size or _SIZE
    return classifier(
        arguments.model,
        weights=arguments.weights or "imagenet",
        input_shape=(size, size, 3),
        classes=arguments.classes or 1000,
        dialect=arguments.dialect or "timm",
    )
