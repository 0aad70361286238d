"""What pictures are drawn on, where matplotlib draws them."""

import os
import pathlib
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
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def picture_format(path: str | os.PathLike[str]) -> str:
    """Returns the format of a picture, which its suffix says.

    Args:
        path: The picture; `.png` by default.

    Returns:
        The format as matplotlib calls it, such as `"png"`.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If it knows no such format.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    suffix = pathlib.Path(path).suffix.removeprefix(".").lower() or "png"
    formats = FigureCanvasAgg.get_supported_filetypes()
    if suffix not in formats:
        raise ValueError(
            f"`path` must end with one of {sorted(formats)}. Received: {path}"
        )
    return suffix


def require_matplotlib() -> None:
    """Raises an error that names the extra if matplotlib is missing.

    Raises:
        ImportError: If matplotlib is missing.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Pictures are drawn with matplotlib. Install it with "
            '`pip install "keras-twins[plot]"`.'
        ) from error
