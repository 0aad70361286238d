"""What pictures are drawn on, where matplotlib draws them."""

from typing import Any


def blank_figure(width: float, height: float) -> Any:
    """Returns a figure of its own, with no state in `pyplot`.

    Args:
        width: Width in inches.
        height: Height in inches.

    Returns:
        A figure of matplotlib, which it can save.

    Raises:
        ImportError: If matplotlib is missing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
