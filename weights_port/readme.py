"""The generated tables of the README."""

import pathlib

import keras_twins
from keras_twins.applications import CONSTRUCTORS
from keras_twins.weights.files import replace_file
from keras_twins.weights.registry import RESULTS
from keras_twins.weights.registry import SOURCES


def write_section(readme: pathlib.Path, name: str, table: str) -> None:
    """Replaces what stands between the markers of a section.

    Args:
        readme: A Markdown file with the lines `<!-- NAME:begin -->` and
            `<!-- NAME:end -->`.
        name: Name of the section.
        table: Markdown.

    Raises:
        ValueError: If the markers are missing.
    """
    marker, stop = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(marker)
    _, end, after = rest.partition(stop)
    if not begin or not end:
        raise ValueError(
            f"{readme} must hold the lines {marker!r} and {stop!r}, in this "
            "order, where the table belongs. Received: a file without them."
        )
    with replace_file(readme) as temporary:
        temporary.write_text(
            f"{before}{marker}\n{table.strip()}\n{stop}{after}",
            encoding="utf-8",
        )


def models_table() -> str:
    """Returns the table of the models, counted on the models themselves.

    Returns:
        Markdown: a line for each variant.
    """
    lines = [
        "| constructor | parameters | GMACs | top-1 | top-5 | pinned by |",
        "| --- | --: | --: | --: | --: | --- |",
    ]
    for variant, constructor in CONSTRUCTORS.items():
        model = constructor(weights=None)
        macs = keras_twins.count_flops(model).total_macs
        result, source = RESULTS[variant], SOURCES[variant][0]
        pin = "sha256" if source.sha256 else "first 8 digits of sha256"
        cells = (
            constructor.__name__,
            f"{model.count_params():,}",
            f"{macs / 1e9:.2f}",
            f"{result.top1:.1f}",
            f"{result.top5:.1f}",
            f"{pin} ({source.container})",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
