"""The commands that train by recipes, and that list these."""

import argparse
import json
import pathlib

from keras_twins.cli.arguments import positive
from keras_twins.cli.arguments import variant
from keras_twins.cli.backends import add_backend
from keras_twins.cli.models import text_table

STRATEGIES = (
    "auto",
    "none",
    "mirrored",
    "multi_worker",
    "tpu",
    "data_parallel",
    "model_parallel",
    "ddp",
)
"""What `--strategy` takes."""

_INTERRUPTED = 130
"""Exit code of a process that was interrupted from the keyboard."""


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `train` and `recipes`.

    Args:
        commands: The commands so far.
    """
    sub = commands.add_parser(
        "train",
        help="train by a recipe of the paper",
        description="Trains, or goes on where an earlier run with the same "
        "folder of results has ended.",
    )
    sub.add_argument(
        "--recipe", required=True, help="such as imagenet/svt_base"
    )
    sub.add_argument(
        "--data",
        required=True,
        help="a folder train/CLASS/*.jpeg; tfds:NAME; tfrecord:GLOB; "
        "webdataset:GLOB; digits; the folder of ADE20K or COCO",
    )
    sub.add_argument(
        "--out",
        type=pathlib.Path,
        help="folder of the results (default results/train/RECIPE)",
    )
    sub.add_argument(
        "--set",
        action="append",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe, such as epochs=100 augmentation.mixup=0",
    )
    _add_model(sub)
    _add_splits(sub)
    _add_run(sub)
    add_devices(sub)
    sub.set_defaults(run=train, fail=sub.error)

    sub = commands.add_parser("recipes", help="the recipes of the paper")
    sub.add_argument(
        "name", nargs="?", help="show all settings of one, for `--set`"
    )
    sub.add_argument("--json", action="store_true", help="print JSON")
    sub.set_defaults(run=print_recipes)


def add_devices(sub: argparse.ArgumentParser) -> None:
    """Adds what says where a model computes.

    Args:
        sub: A command.
    """
    add_backend(sub)
    sub.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="auto",
        help="how devices share the work (default auto: all of them)",
    )
    sub.add_argument(
        "--devices",
        type=positive,
        help="how many of the devices to use (default all)",
    )


def _add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--model",
        type=variant,
        help="such as svt_base; recipes of segmentation and detection need "
        "it, those of classifiers have their own",
    )
    sub.add_argument(
        "--weights",
        default="imagenet",
        help="where segmentation and detection begin: imagenet (default), "
        "none, or the path of a file",
    )
    sub.add_argument(
        "--classes",
        type=positive,
        default=150,
        help="how many there are in a segmentation (default 150); classifiers "
        "and detectors take those of the data",
    )


def _add_splits(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--train-split",
        default="train",
        help="part of the data that classifiers are trained on (default "
        "train); segmentation has training, detection train2017",
    )
    sub.add_argument(
        "--val-split",
        default="val",
        help="part that classifiers are validated with (default val), or none; "
        "segmentation has validation, detection val2017",
    )
    sub.add_argument(
        "--corrupt",
        choices=("error", "skip"),
        default="error",
        help="what becomes of images that cannot be read",
    )


def _add_run(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of random weights, of the order of the images and of their "
        "augmentation (default 0)",
    )
    sub.add_argument(
        "--save-minutes",
        type=float,
        default=10.0,
        help="time between checkpoints (default 10)",
    )
    sub.add_argument(
        "--keep",
        type=positive,
        default=2,
        help="how many of the newest checkpoints stay, beside the best one "
        "(default 2)",
    )
    sub.add_argument(
        "--accept-changes",
        action="store_true",
        help="go on from checkpoints of other settings",
    )
    sub.add_argument(
        "--model-devices",
        type=positive,
        help="devices that share one model, for model_parallel",
    )


def train(arguments: argparse.Namespace) -> int:
    """Trains by a recipe.

    Args:
        arguments: `recipe`, `data`, `out`, `set`, `model`, `weights`,
            `classes`, `train_split`, `val_split`, `corrupt`, `seed`,
            `save_minutes`, `keep`, `accept_changes`, `strategy`, `devices`
            and `model_devices`.

    Returns:
        Exit code: 130 if the training was interrupted.
    """
    from keras_twins.cli.data_errors import readable_errors
    from keras_twins.training import TrainingOptions
    from keras_twins.training import train as run

    options = TrainingOptions(
        variant=arguments.model,
        weights=None if arguments.weights == "none" else arguments.weights,
        num_classes=arguments.classes,
        strategy=arguments.strategy,
        devices=arguments.devices,
        model_devices=arguments.model_devices,
        seed=arguments.seed,
        corrupt=arguments.corrupt,
        splits=(
            arguments.train_split,
            None if arguments.val_split == "none" else arguments.val_split,
        ),
        save_minutes=arguments.save_minutes,
        keep=arguments.keep,
        accept_changes=arguments.accept_changes,
    )
    out = arguments.out or pathlib.Path("results") / "train" / arguments.recipe
    changes = [change for group in arguments.set for change in group]
    with readable_errors():
        result = run(arguments.recipe, arguments.data, out, changes, options)
    if result.status == "interrupted":
        print(
            f"Stopped after {result.step} steps. The same command goes on "
            f"from {out}."
        )
        return _INTERRUPTED
    print(out)
    return 0


def print_recipes(arguments: argparse.Namespace) -> int:
    """Prints the recipes as a table, or all settings of one.

    Args:
        arguments: `name` and `json`.

    Returns:
        Exit code.
    """
    from keras_twins.training import recipe_rows
    from keras_twins.training import recipe_settings

    if arguments.name is not None:
        settings = recipe_settings(arguments.name)
        if arguments.json:
            print(json.dumps(settings, indent=2))
        else:
            print(text_table([[k, str(v)] for k, v in settings.items()], 2))
        return 0
    rows = recipe_rows()
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    cells = [[str(x) for x in row.values()] for row in rows]
    print(text_table([list(rows[0]), *cells], texts=len(rows[0])))
    return 0
