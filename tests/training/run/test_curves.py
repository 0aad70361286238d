import sys

import numpy as np
import pytest
from PIL import Image

from keras_twins.training.run import draw_curves

HISTORY = {
    "step": [5, 10, 15],
    "learning_rate": [0.1, 0.2, 0.1],
    "loss": [3.0, 2.0, 1.0],
    "top1": [0.1, 0.2, 0.4],
    "val_loss": [3.0, 2.5, 2.0],
    "val_top1": [0.1, 0.3, float("nan")],
}


def test_curves_have_a_panel_for_losses_scores_and_rate(tmp_path):
    path = tmp_path / "curves.png"
    draw_curves(path, HISTORY)
    with Image.open(path) as picture:
        width = picture.width
        colors = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    # The colours of the two curves of a panel.
    for color in ([0x34, 0x65, 0xA4], [0xD9, 0x82, 0x2B]):
        assert (colors == color).all(-1).sum() > 200
    draw_curves(path, {"loss": [1.0]})
    with Image.open(path) as picture:
        assert picture.width * 2.5 < width


def test_what_is_never_known_is_left_out(tmp_path):
    known, both = tmp_path / "known.png", tmp_path / "both.png"
    draw_curves(known, HISTORY)
    nothing = [float("nan")] * 3
    draw_curves(both, {"val_box_APs": nothing, **HISTORY})
    assert both.read_bytes() == known.read_bytes()


@pytest.mark.parametrize("history", [{}, {"val_box_APs": [float("nan")]}])
def test_nothing_to_draw(tmp_path, history):
    draw_curves(tmp_path / "curves.png", history)
    assert not list(tmp_path.iterdir())


def test_missing_matplotlib_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"keras-twins\[plot\]"):
        draw_curves(tmp_path / "curves.png", HISTORY)
