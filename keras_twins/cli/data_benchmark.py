"""The part of `bench` that measures how fast a data set is read."""

import argparse
import dataclasses
import time
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.cli.arguments import positive

if TYPE_CHECKING:
    from keras_twins.benchmark.results import Part
    from keras_twins.data.classification.image_dataset import ImageDataset
    from keras_twins.data.classification.throughput import LoadingSpeed

_AUGMENTATIONS = ("imagenet", "light", "none")


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Adds what `bench data` takes.

    Args:
        sub: The parser of `bench`.
    """
    group = sub.add_argument_group("of the part data")
    group.add_argument(
        "--data",
        help="a folder train/CLASS/*.jpeg; tfds:NAME; tfrecord:GLOB; "
        "webdataset:GLOB; digits",
    )
    group.add_argument("--split", default="train")
    group.add_argument("--batch-size", type=positive, default=128)
    group.add_argument("--image-size", type=positive, default=224)
    group.add_argument(
        "--augmentation",
        choices=_AUGMENTATIONS,
        default="imagenet",
        help="the paper's (default), that of fine-tuning, or the centre crop "
        "of evaluations",
    )
    group.add_argument(
        "--seconds", type=_seconds, default=10.0, help="(default 10)"
    )
    group.add_argument(
        "--step-time",
        type=_seconds,
        metavar="SECONDS",
        help="of a training step, to tell how long a model would wait",
    )


def measure(arguments: argparse.Namespace) -> "Part":
    """Measures how fast batches come.

    Args:
        arguments: What `add_arguments` adds.

    Returns:
        A part of a benchmark.

    Raises:
        ValueError: If no data set is named.
    """
    from keras_twins.benchmark.machine import describe_machine
    from keras_twins.benchmark.results import Part
    from keras_twins.cli.data_errors import readable_errors
    from keras_twins.data.classification.sources import load_images
    from keras_twins.data.classification.throughput import measure_loading

    if arguments.data is None:
        raise ValueError(
            "`bench data` needs a data set, such as --data digits or --data "
            "PATH. Received: none"
        )
    dataset = load_images(arguments.data, arguments.split)
    wait = arguments.step_time
    with readable_errors():
        speed = measure_loading(
            _batches(dataset, arguments),
            arguments.batch_size,
            arguments.seconds,
            None if wait is None else lambda _: time.sleep(wait),
        )
    settings = {
        "data": arguments.data,
        "split": arguments.split,
        "batch_size": arguments.batch_size,
        "image_size": arguments.image_size,
        "augmentation": arguments.augmentation,
        "step_time": wait,
    }
    content = {**settings, **speed.to_dict(), "machine": describe_machine()}
    return Part(content, _table(settings, speed))


def _batches(dataset: "ImageDataset", arguments: argparse.Namespace) -> Any:
    from keras_twins.data.classification.augmentation import LIGHT
    from keras_twins.data.classification.augmentation import TWINS_IMAGENET
    from keras_twins.data.classification.pipeline import image_batches
    from keras_twins.data.classification.pipeline import (
        image_evaluation_batches,
    )
    from keras_twins.preprocessing import evaluation_crop

    size, batch_size = arguments.image_size, arguments.batch_size
    if arguments.augmentation == "none":
        crop = evaluation_crop("timm", size)
        return image_evaluation_batches(dataset, crop, batch_size).repeat()
    known = {"imagenet": TWINS_IMAGENET, "light": LIGHT}
    # Any batch size is measured; the size of a group costs nothing.
    augmentation = dataclasses.replace(
        known[arguments.augmentation], size=size, mix_group=None
    )
    return image_batches(dataset, augmentation, batch_size)


def _table(settings: dict[str, Any], speed: "LoadingSpeed") -> str:
    row = {
        "data": settings["data"],
        "augmentation": settings["augmentation"],
        "pixels": settings["image_size"],
        "batch": settings["batch_size"],
        "images/s": f"{speed.images_per_second:,.0f}",
    }
    wait = settings["step_time"]
    if wait is not None:
        row["step"] = f"{wait * 1000:,.0f} ms"
        row["waiting"] = f"{speed.waiting_share:.1%}"
    lines = [row.keys(), ["---"] * len(row), row.values()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(
            f"expected a positive number of seconds. Received: {text}"
        )
    return value
