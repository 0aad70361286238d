"""The commands of `python -m weights_port`."""

import argparse
import itertools
import json
import pathlib
import sys
from collections.abc import Sequence

from keras_twins import VARIANTS
from keras_twins.config import DIALECTS
from keras_twins.weights.code_bases import TABLES
from weights_port import dense_commands
from weights_port import export_commands
from weights_port.convert import convert
from weights_port.convert import export
from weights_port.inspection import inspect_file
from weights_port.parity import MANIFESTS
from weights_port.parity import measure_parity
from weights_port.parity import merge_rows
from weights_port.parity import read_rows
from weights_port.parity_detection import DETECTION_SOURCES
from weights_port.parity_detection import measure_detection
from weights_port.parity_segmentation import SEGMENTATION_SOURCES
from weights_port.parity_segmentation import measure_segmentation
from weights_port.parity_table import SOURCES
from weights_port.parity_table import format_table
from weights_port.readme import models_table
from weights_port.readme import write_section
from weights_port.verify import verify


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: Arguments; by default, those of the process.

    Returns:
        Exit code: 0 if all is well, 1 if there is a problem.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (ValueError, OSError, ImportError) as error:
        print(f"weights_port: {error}", file=sys.stderr)
        return 1


def _convert(arguments: argparse.Namespace) -> int:
    if arguments.whole:
        return dense_commands.convert_whole(arguments)
    result = convert(
        arguments.source,
        arguments.out,
        arguments.variant,
        arguments.naming,
        arguments.dialect,
        include_top=False if arguments.no_top else None,
        progress=sys.stdout.isatty(),
    )
    print(result.report())
    return 0


def _export(arguments: argparse.Namespace) -> int:
    result = export(
        arguments.source,
        arguments.out,
        arguments.variant,
        include_top=False if arguments.no_top else None,
        progress=sys.stdout.isatty(),
    )
    print(result.report())
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    if arguments.whole:
        return dense_commands.verify_whole(arguments)
    result = verify(
        arguments.original,
        arguments.ported,
        arguments.variant,
        arguments.naming,
        arguments.dialect,
        progress=sys.stdout.isatty(),
    )
    print(result.report())
    return 0 if result.passed else 1


def _inspect(arguments: argparse.Namespace) -> int:
    result = inspect_file(arguments.file, arguments.variant)
    if arguments.json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        print(result.report())
    return 1 if result.problems else 0


def _parity(arguments: argparse.Namespace) -> int:
    golden, variants = arguments.golden, arguments.variants
    whole = [name for name in arguments.sources if name in MANIFESTS]
    segmentation, detection = (
        [name for name in arguments.sources if name in known]
        for known in (SEGMENTATION_SOURCES, DETECTION_SOURCES)
    )
    rows = itertools.chain(
        measure_parity(golden, whole, variants),
        measure_segmentation(golden, segmentation, variants),
        measure_detection(golden, detection, variants),
    )
    count = merge_rows(arguments.out, rows)
    print(f"{arguments.out}: {count} rows")
    return 0


def _parity_table(arguments: argparse.Namespace) -> int:
    table = format_table(read_rows(arguments.rows))
    write_section(arguments.readme, "parity", table)
    print(f"{arguments.readme}: table written")
    return 0


def _bench_table(arguments: argparse.Namespace) -> int:
    report = json.loads(arguments.report.read_text(encoding="utf-8"))
    write_section(arguments.readme, arguments.section, report["markdown"])
    print(f"{arguments.readme}: table written")
    return 0


def _models_table(arguments: argparse.Namespace) -> int:
    write_section(arguments.readme, "models", models_table())
    print(f"{arguments.readme}: table written")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m weights_port",
        description="Ports Twins weights of other code bases to Keras.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_files(commands)
    _add_parity(commands)
    return parser


def _add_files(commands: argparse._SubParsersAction) -> None:
    sub = commands.add_parser(
        "convert", help="original weights to .weights.h5 or .safetensors"
    )
    sub.add_argument("source", type=pathlib.Path)
    sub.add_argument("out", type=pathlib.Path)
    sub.add_argument("--no-top", action="store_true", help="leave out the head")
    dense_commands.add_whole(sub)
    _add_recognition(sub)
    sub.set_defaults(run=_convert)

    sub = commands.add_parser(
        "export", help="our weights to .safetensors of timm and the originals"
    )
    sub.add_argument("source", type=pathlib.Path)
    sub.add_argument("out", type=pathlib.Path)
    sub.add_argument("--no-top", action="store_true", help="leave out the head")
    _add_variant(sub)
    sub.set_defaults(run=_export)

    sub = commands.add_parser("verify", help="compare original and ported")
    sub.add_argument("original", type=pathlib.Path)
    sub.add_argument("ported", type=pathlib.Path)
    dense_commands.add_whole(sub)
    _add_recognition(sub)
    sub.set_defaults(run=_verify)

    sub = commands.add_parser("inspect", help="say what a file is")
    sub.add_argument("file", type=pathlib.Path)
    sub.add_argument("--json", action="store_true", help="print JSON")
    _add_variant(sub)
    sub.set_defaults(run=_inspect)


def _add_variant(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--variant", choices=sorted(VARIANTS), help="instead of recognising it"
    )


def _add_recognition(sub: argparse.ArgumentParser) -> None:
    _add_variant(sub)
    sub.add_argument(
        "--naming", choices=sorted(TABLES), help="instead of recognising it"
    )
    sub.add_argument(
        "--dialect", choices=sorted(DIALECTS), help="not the code base's"
    )


def _add_parity(commands: argparse._SubParsersAction) -> None:
    rows = pathlib.Path("results") / "parity.json"
    sub = commands.add_parser(
        "parity", help="compare the running backend with the originals"
    )
    golden = pathlib.Path("tests") / "golden"
    sub.add_argument("--golden", type=pathlib.Path, default=golden)
    sub.add_argument("--out", type=pathlib.Path, default=rows)
    sub.add_argument(
        "--sources", nargs="+", choices=SOURCES, default=list(SOURCES)
    )
    sub.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS)
    )
    sub.set_defaults(run=_parity)
    _add_tables(commands, rows)


def _add_tables(
    commands: argparse._SubParsersAction, rows: pathlib.Path
) -> None:
    """Adds the commands that write the README's tables."""
    bench = pathlib.Path("results") / "bench" / "bench.json"
    sub = commands.add_parser("parity-table", help="write it into the README")
    sub.add_argument("--rows", type=pathlib.Path, default=rows)
    sub.set_defaults(run=_parity_table)
    sub = commands.add_parser("bench-table", help="write it into the README")
    sub.add_argument("--report", type=pathlib.Path, default=bench)
    sub.add_argument("--section", default="bench", help="where in the README")
    sub.set_defaults(run=_bench_table)
    export_commands.add_commands(commands)
    sub = commands.add_parser("models-table", help="write it into the README")
    sub.set_defaults(run=_models_table)
    for name in ("parity-table", "bench-table", "export-table", "models-table"):
        commands.choices[name].add_argument(
            "--readme", type=pathlib.Path, default=pathlib.Path("README.md")
        )
