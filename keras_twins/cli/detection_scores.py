"""Average precisions as tables and as JSON."""

import math
from typing import Any

from keras_twins.cli.models import text_table

_CLASSES = "_class_AP"


def score_tables(scores: dict[str, Any], by_class: bool) -> str:
    """Returns scores as aligned columns.

    Args:
        scores: What `evaluate_detection` returns.
        by_class: Whether there is a second table, of the classes.

    Returns:
        Lines of text.
    """
    from keras_twins.detection.coco_precision import KINDS
    from keras_twins.detection.coco_precision import METRICS

    kinds = [kind for kind in KINDS.values() if f"{kind}_AP" in scores]
    rows = [["", *METRICS]]
    for kind in kinds:
        values = [scores[f"{kind}_{name}"] for name in METRICS]
        rows.append([kind, *map(_percent, values)])
    tables = [text_table(rows, texts=1)]
    if by_class:
        rows = [["class", *(f"{kind} AP" for kind in kinds)]]
        for name in scores[f"{kinds[0]}{_CLASSES}"]:
            values = [scores[f"{kind}{_CLASSES}"][name] for kind in kinds]
            rows.append([name, *map(_percent, values)])
        tables.append(text_table(rows, texts=1))
    return "\n\n".join(tables)


def as_json(scores: dict[str, Any]) -> dict[str, Any]:
    """Returns scores with `None` for what is not known: JSON has no NaN.

    Args:
        scores: What `evaluate_detection` returns.

    Returns:
        The same numbers.
    """
    return {
        name: as_json(value) if isinstance(value, dict) else _known(value)
        for name, value in scores.items()
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2%}"
