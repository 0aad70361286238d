"""The commands that tell what the published variants are."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    import keras

    from keras_twins.flops import FlopCount


def variants_by_constructor() -> dict[str, str]:
    """Returns the key of each variant by the name of its constructor."""
    from keras_twins.applications import CONSTRUCTORS

    return {
        constructor.__name__: variant
        for variant, constructor in CONSTRUCTORS.items()
    }


def print_list(arguments: argparse.Namespace) -> int:
    """Prints what each variant costs and reaches.

    Args:
        arguments: `json`: whether to print JSON.

    Returns:
        Exit code.
    """
    rows = [
        _describe(variant, constructor)
        for constructor, variant in variants_by_constructor().items()
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    header = ["variant", "constructor", "parameters", "GMACs", "top-1 %"]
    cells = [
        [
            row["variant"],
            row["constructor"],
            f"{row['parameters']:,}",
            f"{row['gmacs']:.2f}",
            f"{row['top1']:.2f}",
        ]
        for row in rows
    ]
    print(text_table([header, *cells], texts=2))
    print(f"\nGMACs at 224 x 224 pixels. Top-1: {rows[0]['source']}.")
    return 0


def print_summary(arguments: argparse.Namespace) -> int:
    """Prints layers, parameters and FLOPs of a variant.

    Args:
        arguments: `variant`, `size` in pixels, and `by_layer`.

    Returns:
        Exit code.
    """
    model, count = _count(arguments.variant, arguments.size)
    if arguments.by_layer:
        print(_layers(count) + "\n")
    lines = [
        ["model", model.name],
        ["image", " x ".join(map(str, count.input_shape))],
        ["layers", f"{len(count.by_layer):,}"],
        ["parameters", f"{count.parameters:,}"],
        ["MACs", f"{count.total_macs:,}"],
        ["  projections", f"{count.macs_projections:,}"],
        ["  attention", f"{count.macs_attention:,}"],
        ["FLOPs", f"{count.flops:,}"],
    ]
    print(text_table(lines, texts=2))
    return 0


def text_table(rows: Sequence[Sequence[str]], texts: int) -> str:
    """Returns rows as aligned columns.

    Args:
        rows: Cells of each row.
        texts: Number of columns that are aligned to the left; those that
            follow are numbers, to the right.

    Returns:
        A line for each row.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _describe(variant: str, constructor: str) -> dict[str, Any]:
    from keras_twins.weights.registry import RESULTS

    _, count = _count(variant, size=224)
    result = RESULTS[variant]
    return {
        "variant": variant,
        "constructor": constructor,
        "parameters": count.parameters,
        "gmacs": count.total_macs / 1e9,
        "top1": result.top1,
        "top5": result.top5,
        "source": result.source,
    }


def _count(variant: str, size: int) -> "tuple[keras.Model, FlopCount]":
    import keras

    from keras_twins.applications import CONSTRUCTORS
    from keras_twins.flops import count_flops

    # In this scope the weights have shapes but no values: it is quick.
    with keras.StatelessScope(initialize_variables=False):
        model = CONSTRUCTORS[variant](weights=None, input_shape=(size, size, 3))
        return model, count_flops(model)


def _layers(count: "FlopCount") -> str:
    header = ["layer", "class", "output", "parameters", "MACs"]
    cells = [
        [
            layer.name,
            layer.kind,
            " x ".join(map(str, layer.output_shape[1:])),
            f"{layer.parameters:,}",
            f"{layer.macs:,}",
        ]
        for layer in count.by_layer
    ]
    return text_table([header, *cells], texts=3)
