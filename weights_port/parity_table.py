"""The parity rows as a Markdown table."""

from collections import defaultdict
from collections.abc import Iterable

from keras_twins import VARIANTS
from weights_port.parity import MANIFESTS
from weights_port.parity import ParityRow
from weights_port.parity_detection import DETECTION_SOURCES
from weights_port.parity_segmentation import SEGMENTATION_SOURCES

SOURCES = (*MANIFESTS, *SEGMENTATION_SOURCES, *DETECTION_SOURCES)
"""Everything that is compared with, in the order of the table."""

_BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def format_table(rows: Iterable[ParityRow]) -> str:
    """Returns a table of the largest differences.

    Args:
        rows: What was measured.

    Returns:
        Markdown: a line for each variant and source, a column for each
        backend; the largest relative difference of the logits, and of the
        maps of the stages or, where these are not stored, of the neck.

    Raises:
        ValueError: If there are no rows.
    """
    worst: dict[tuple[str, str, str, str], float] = defaultdict(float)
    sizes = defaultdict(set)
    for row in rows:
        key = (row.variant, row.source, row.backend, _kind(row.output))
        worst[key] = max(worst[key], row.relative)
        sizes[key[:2]].add(row.size)
    if not worst:
        raise ValueError(
            "There are no parity rows. Expected a file that "
            "`python -m weights_port parity` wrote."
        )
    backends = [name for name in _BACKENDS if any(name in k for k in worst)]
    lines = [_line("variant", "source", "sizes", *map(_BACKENDS.get, backends))]
    lines.append(_line("---", "---", "--:", *("--:" for _ in backends)))
    for variant in VARIANTS:
        for source in SOURCES:
            cells = [_cell(worst, (variant, source, name)) for name in backends]
            if any(cells):
                count = len(sizes[variant, source])
                lines.append(_line(variant, source, count, *cells))
    return "\n".join(lines)


def _kind(output: str) -> str:
    """Returns what an output is: one of several levels, or itself."""
    for kind in ("stage", "neck", "logits"):
        if output.startswith(kind):
            return kind
    return output


def _cell(worst: dict, key: tuple[str, str, str]) -> str:
    logits = worst.get((*key, "logits"))
    stages = worst.get((*key, "stage"), worst.get((*key, "neck")))
    if logits is None or stages is None:
        return ""
    return f"{logits:.1e} / {stages:.1e}"


def _line(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
