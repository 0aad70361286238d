"""The report cards of exports as Markdown tables."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from weights_port.exports import KERAS

Row = Mapping[str, Any]

TITLES = {"svt_small": "Twins-SVT-S, 224", "digits": "digits, 32"}
"""The models of the table, in its order."""

_BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
_RANDOM = ("svt_small",)
"""Models of random values, whose classes mean nothing."""


def format_tables(content: Mapping[str, Any]) -> str:
    """Returns the tables of exports and of quantized models.

    Args:
        content: What `python -m weights_port export-cards` wrote.

    Returns:
        Markdown.

    Raises:
        ValueError: If there are no rows.
    """
    rows = content.get("rows", [])
    if not rows:
        raise ValueError(
            "There are no report cards. Expected a file that "
            "`python -m weights_port export-cards` wrote."
        )
    exports = [row for row in rows if row["format"] != KERAS]
    quantized = [row for row in rows if row["format"] == KERAS]
    parts = [_exports(exports), _problems(exports)]
    if quantized:
        parts += ["`model.quantize`, in Keras:", _quantized(quantized)]
    return "\n\n".join(filter(None, [*parts, content.get("note", "")]))


def _exports(rows: Sequence[Row]) -> str:
    header = (
        ("model", "format", "precision"),
        ("MB", "of float32", "load s", "ms, one image", "images/s"),
        ("difference", "same top-1"),
    )
    return _table(header, (_export_cells(row, rows) for row in _sorted(rows)))


def _export_cells(row: Row, rows: Sequence[Row]) -> tuple[str, ...]:
    name = TITLES[row["model"]], row["format"], row["precision"]
    if "bytes" not in row:
        return (*name, "not written", *[""] * 6)
    return (
        *name,
        f"{row['bytes'] / 1e6:.2f}",
        _share(row, rows),
        _number(row["load_seconds"], ".2f"),
        _timed(row, "latency_ms", "latency_ratio"),
        _timed(row, "throughput", "throughput_ratio"),
        _difference(row),
        _agreement(row),
    )


def _quantized(rows: Sequence[Row]) -> str:
    header = (
        ("model", "backend", "mode"),
        ("MB", "of float32", "ms, one image", "images/s"),
        ("cosine", "same top-1"),
    )
    cells = (
        (
            TITLES[row["model"]],
            _BACKENDS[row["backend"]],
            row["precision"],
            f"{row['bytes'] / 1e6:.2f}",
            _share(row, rows),
            _timed(row, "latency_ms", "latency_ratio"),
            _timed(row, "throughput", "throughput_ratio"),
            _number(row["cosine_similarity"], ".5f"),
            _agreement(row),
        )
        for row in _sorted(rows)
        if row["precision"] != "float32"
    )
    return _table(header, cells)


def _problems(rows: Sequence[Row]) -> str:
    lines = [
        f"- {TITLES[row['model']]}, {row['format']} {row['precision']}: "
        + " ".join(row["problems"])
        for row in _sorted(rows)
        if row["problems"]
    ]
    return "\n".join(["Not accepted:", "", *lines]) if lines else ""


def _table(
    header: Sequence[Sequence[str]], rows: Iterable[Sequence[str]]
) -> str:
    names, numbers = header[0], [x for part in header[1:] for x in part]
    rule = ["---"] * len(names) + ["--:"] * len(numbers)
    lines = [[*names, *numbers], rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _sorted(rows: Sequence[Row]) -> list[Row]:
    models, backends = list(TITLES), list(_BACKENDS)
    return sorted(
        (row for row in rows if row["model"] in TITLES),
        key=lambda row: (
            models.index(row["model"]),
            backends.index(row["backend"]) if row["format"] == KERAS else 0,
        ),
    )


def _share(row: Row, rows: Sequence[Row]) -> str:
    """Returns the size as a fraction of the same artefact in float32."""
    for other in rows:
        same = all(row[x] == other[x] for x in ("model", "format", "backend"))
        if same and other["precision"] == "float32" and "bytes" in other:
            return f"{row['bytes'] / other['bytes']:.2f}"
    return ""


def _timed(row: Row, name: str, ratio: str) -> str:
    if row[name] is None:
        return ""
    return f"{row[name]:.1f} ({row[ratio]:.2f} x)"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _difference(row: Row) -> str:
    difference, largest = row["max_abs_difference"], row["max_abs_output"]
    if difference is None or not largest:
        return ""
    return f"{difference / largest:.0e}"


def _agreement(row: Row) -> str:
    agreement = row["top1_agreement"]
    if agreement is None or row["model"] in _RANDOM:
        return ""
    return f"{agreement:.1%}"
