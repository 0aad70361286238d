"""The command line of `keras-twins`: what it takes, and how it ends."""

import argparse
import contextlib
import pathlib
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from collections.abc import Sequence

from keras_twins.cli import benchmarks
from keras_twins.cli import detection
from keras_twins.cli import evaluation
from keras_twins.cli import exports
from keras_twins.cli import files
from keras_twins.cli import models
from keras_twins.cli import runs
from keras_twins.cli import segmentation
from keras_twins.cli import training
from keras_twins.cli.arguments import positive
from keras_twins.cli.arguments import variant
from keras_twins.cli.backends import switch_backend
from keras_twins.preprocessing import CROP_FRACTIONS
from keras_twins.version import __version__

_INTERRUPTED = 128 + signal.SIGINT
"""What shells report of a process that was ended from the keyboard."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Wrong usage ends the process with exit code 2, as `argparse` does.

    Args:
        argv: Arguments; by default, those of the process.

    Returns:
        Exit code: 0 if all is well, 1 after an error, which is one line on
        the standard error stream, 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    switch_backend(arguments, argv)
    try:
        with warnings.catch_warnings(), _orderly_end():
            warnings.showwarning = _show_warning
            return arguments.run(arguments)
    # The library has an error of its own where a file cannot be written.
    except (ValueError, OSError, ImportError) as error:
        print(f"keras-twins: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("keras-twins: interrupted", file=sys.stderr)
        return _INTERRUPTED


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """Has SIGTERM end the process as an exception that cleans up after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _end(number: int, _: object) -> None:
    # What shells report of a process that a signal has ended.
    raise SystemExit(128 + number)


def _show_warning(
    message: Warning | str, category: type[Warning], *_: object, **__: object
) -> None:
    text = _one_line(message)
    print(f"keras-twins: {category.__name__}: {text}", file=sys.stderr)


def _one_line(message: object) -> str:
    if isinstance(message, OSError) and message.filename and message.strerror:
        # Not "[Errno 2] ...".
        message = f"{message.filename}: {message.strerror}"
    return " ".join(str(message).split())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-twins",
        description="Twins vision transformers for Keras 3. The backend is "
        "that of the environment variable KERAS_BACKEND.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_list(commands)
    _add_summary(commands)
    _add_classify(commands)
    _add_convert(commands)
    segmentation.add_commands(commands)
    detection.add_commands(commands)
    exports.add_command(commands)
    training.add_commands(commands)
    evaluation.add_command(commands)
    _add_demo(commands)
    benchmarks.add_command(commands)
    return parser


def _add_list(commands: argparse._SubParsersAction) -> None:
    sub = commands.add_parser("list", help="the published variants")
    sub.add_argument("--json", action="store_true", help="print JSON")
    sub.set_defaults(run=models.print_list)


def _add_summary(commands: argparse._SubParsersAction) -> None:
    sub = commands.add_parser(
        "summary", help="layers, parameters and FLOPs of a variant"
    )
    sub.add_argument("variant", type=variant, help="such as svt_base")
    _add_size(sub)
    sub.add_argument("--by-layer", action="store_true", help="a line for each")
    sub.set_defaults(run=models.print_summary)


def _add_classify(commands: argparse._SubParsersAction) -> None:
    sub = commands.add_parser("classify", help="name what is in images")
    sub.add_argument("images", nargs="+", metavar="IMAGE")
    sub.add_argument("--model", type=variant, default="svt_small")
    sub.add_argument(
        "--weights",
        default="imagenet",
        help="imagenet (downloaded once), or the path of a weights file",
    )
    sub.add_argument("--top", type=positive, default=5, help="how many names")
    sub.add_argument("--json", action="store_true", help="print JSON")
    sub.add_argument(
        "--crop",
        choices=sorted(CROP_FRACTIONS, reverse=True),
        default="timm",
        help="whose resize and centre crop",
    )
    _add_size(sub)
    sub.set_defaults(run=files.classify)


def _add_convert(commands: argparse._SubParsersAction) -> None:
    sub = commands.add_parser(
        "convert",
        help="weights from one kind of file to another",
        epilog="Files of other code bases (OpenMMLab, PaddleClas) are "
        "converted by `python -m weights_port convert`.",
    )
    sub.add_argument(
        "source",
        type=pathlib.Path,
        help=".pth or .safetensors with the names of timm or of the official "
        "code, or .weights.h5 of this package",
    )
    sub.add_argument(
        "target", type=pathlib.Path, help=".weights.h5 or .safetensors"
    )
    sub.add_argument("--model", type=variant, required=True)
    sub.add_argument("--no-top", action="store_true", help="leave out the head")
    sub.add_argument(
        "--classes", type=positive, default=1000, help="of the file's head"
    )
    sub.set_defaults(run=files.convert)


def _add_demo(commands: argparse._SubParsersAction) -> None:
    sub = commands.add_parser(
        "demo", help="train, evaluate, save, export and predict"
    )
    folder = pathlib.Path("results") / "demo"
    sub.add_argument("--out", type=pathlib.Path, default=folder)
    sub.set_defaults(run=runs.demo)


def _add_size(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--size", type=positive, default=224, help="side in pixels"
    )
