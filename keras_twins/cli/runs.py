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


def bench(arguments: argparse.Namespace) -> int:
    """Runs the benchmark and prints its table.

    Args:
        arguments: `backends`, `repeats`, and `out`, the file of the results.

    Returns:
        Exit code: 0 even where a target is missed; a slow machine is no
        error.
    """
    from keras_twins.benchmark import run_benchmark

    report = run_benchmark(arguments.backends, arguments.repeats)
    report.write(arguments.out)
    print(report.table())
    print(f"\nEvery run stands in {arguments.out}.")
    return 0
