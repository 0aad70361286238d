"""The commands that run a whole programme of this package."""

import argparse


def demo(arguments: argparse.Namespace) -> int:
    """Runs the demo.

    Args:
        arguments: `out`, the folder of the results.

    Returns:
        Exit code: 1 if a step failed.
    """
    from keras_twins.demo import run_demo

    return run_demo(arguments.out).exit_code
