"""The curves of a training, drawn with matplotlib."""

import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twins.canvas import blank_figure
from keras_twins.canvas import require_matplotlib
from keras_twins.weights.files import replace_file

_COLORS = ("#3465a4", "#d9822b", "#1b7f4d", "#c22f2f", "#75507b", "#8a8a8a")
_OTHERS = frozenset({"step", "learning_rate"})


def draw_curves(
    path: str | os.PathLike[str], history: Mapping[str, Sequence[float]]
) -> None:
    """Draws loss, scores and learning rate over the epochs.

    What is not known of any epoch, such as the precision for large objects
    where there are none, is left out.

    Args:
        path: The picture, a PNG.
        history: Values of each epoch by name; those of held-out data begin
            with `val_`.

    Raises:
        ImportError: If matplotlib is missing.
    """
    require_matplotlib()
    history = {
        name: values
        for name, values in history.items()
        if np.isfinite(values).any()
    }
    names = [name for name in history if name not in _OTHERS]
    losses = [name for name in names if name.endswith("loss")]
    scores = [name for name in names if name not in losses]
    panels = [("loss", losses), ("scores", scores)]
    panels.append(("learning rate", ["learning_rate"]))
    panels = [
        (title, [name for name in chosen if name in history])
        for title, chosen in panels
    ]
    panels = [panel for panel in panels if panel[1]]
    if not panels:
        return
    figure = blank_figure(4.6 * len(panels), 3.8)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, chosen) in zip(axes, panels, strict=True):
        _draw_panel(axis, title, {name: history[name] for name in chosen})
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _draw_panel(
    axis: Any, title: str, curves: Mapping[str, Sequence[float]]
) -> None:
    for index, (name, values) in enumerate(curves.items()):
        epochs = np.arange(1, len(values) + 1)
        # A point is all there is of the first epoch.
        marker = "o" if len(values) < 40 else None
        axis.plot(
            epochs,
            values,
            marker=marker,
            ms=3.5,
            color=_COLORS[index % len(_COLORS)],
            label=name,
        )
    axis.set_title(title)
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if len(curves) > 1:
        axis.legend(frameon=False, fontsize=8)
