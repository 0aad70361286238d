"""Whole dense models on the command line: `--whole`."""

import argparse


def add_whole(sub: argparse.ArgumentParser) -> None:
    """Declares the option that keeps the heads.

    Args:
        sub: `convert` or `verify`.
    """
    sub.add_argument(
        "--whole",
        action="store_true",
        help="models of segmentation and detection with their heads, also "
        "from and to .keras, instead of their backbones alone",
    )


def convert_whole(arguments: argparse.Namespace) -> int:
    """Converts a whole dense model.

    Args:
        arguments: What `convert` takes.

    Returns:
        Exit code.
    """
    from weights_port.dense import convert_dense

    result = convert_dense(
        arguments.source, arguments.out, arguments.variant, arguments.dialect
    )
    print(result.report())
    return 0


def verify_whole(arguments: argparse.Namespace) -> int:
    """Compares the files of whole dense models.

    Args:
        arguments: What `verify` takes.

    Returns:
        Exit code.
    """
    from weights_port.verify_dense import verify_dense

    result = verify_dense(
        arguments.original,
        arguments.ported,
        arguments.variant,
        arguments.dialect,
    )
    print(result.report())
    return 0 if result.passed else 1
