"""The commands that measure exports and write the README's tables of them."""

import argparse
import json
import pathlib

from weights_port.export_table import TITLES
from weights_port.export_table import format_tables
from weights_port.readme import write_section


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Declares the commands and what they take.

    Args:
        commands: The commands of the program.
    """
    cards = pathlib.Path("results") / "export.json"
    sub = commands.add_parser("export-table", help="write it into the README")
    sub.add_argument("--cards", type=pathlib.Path, default=cards)
    sub.set_defaults(run=_export_table)
    sub = commands.add_parser(
        "export-cards", help="export two models in every way, and measure"
    )
    digits = pathlib.Path("results") / "demo" / "digits.keras"
    sub.add_argument("--out", type=pathlib.Path, default=cards)
    sub.add_argument(
        "--digits", type=pathlib.Path, default=digits, help="trained if missing"
    )
    sub.add_argument(
        "--models", nargs="+", choices=TITLES, default=list(TITLES)
    )
    sub.add_argument("--formats", nargs="+", help="by default all")
    sub.set_defaults(run=_export_cards)


def _export_cards(arguments: argparse.Namespace) -> int:
    from weights_port import exports

    known = exports.subjects(arguments.digits)
    for name in arguments.models:
        for row in exports.measure_exports(known[name](), arguments.formats):
            exports.merge_rows(arguments.out, [{"model": name, **row}])
            verdict = " ".join(row["problems"]) or "accepted"
            print(f"{name} {row['format']} {row['precision']}: {verdict}")
    if arguments.formats is None:
        exports.merge_rows(arguments.out, [], **exports.describe_run())
    return 0


def _export_table(arguments: argparse.Namespace) -> int:
    content = json.loads(arguments.cards.read_text(encoding="utf-8"))
    write_section(arguments.readme, "export", format_tables(content))
    signature = f"```\n{content['signature']}\n```"
    write_section(arguments.readme, "signature", signature)
    print(f"{arguments.readme}: tables written")
    return 0
