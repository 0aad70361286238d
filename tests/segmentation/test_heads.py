"""The heads and the neck against those of mmsegmentation, odd sizes."""

import json
import pathlib

import numpy as np
import pytest

from keras_twins import VARIANTS
from keras_twins.layers import FeaturePyramid
from keras_twins.segmentation import FCNHead
from keras_twins.segmentation import SemanticFPNHead
from keras_twins.segmentation import UPerHead
from keras_twins.weights.filling import fill
from keras_twins.weights.head_naming import head_pairs
from tests.testers import check_layer
from tests.tiny import images
from tests.tiny import to_numpy
from weights_port.golden import rule_state
from weights_port.parity import compare_output

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
MANIFEST = json.loads((GOLDEN / "units_mm.json").read_text())
SIZES = [(50, 67), (25, 34), (13, 17), (7, 9)]
CHANNELS = [8, 16, 24, 32]
TOLERANCE = 1e-5

MAPS = [images(2, 13, 11, 4), images(2, 7, 6, 6), images(2, 4, 3, 8)]
# (build, tables of the head, part, name in the golden file, seed, channels)
UNITS = {
    "fpn_seg": (lambda: FeaturePyramid(16), "semantic_fpn", "neck", 8100),
    "segfpnhead": (
        lambda: SemanticFPNHead(11, 12),
        "semantic_fpn",
        "decode_head",
        8200,
    ),
    "uperhead": (lambda: UPerHead(11, 12), "upernet", "decode_head", 8100),
    "fcnhead": (lambda: FCNHead(11, 12), "upernet", "auxiliary_head", 8100),
}


def _inputs(name: str, seed: int) -> list[np.ndarray]:
    channels = [16] * 4 if name == "segfpnhead" else CHANNELS
    maps = []
    for i, (size, width) in enumerate(zip(SIZES, channels, strict=True)):
        generator = np.random.Generator(np.random.PCG64(seed + i))
        x = generator.standard_normal((2, width, *size), dtype=np.float32)
        maps.append(x.transpose(0, 2, 3, 1))
    return maps


def _fill(layer, head: str, part: str, name: str) -> None:
    """Fills a layer on its own as a part of a model."""
    state = rule_state(MANIFEST["models"][name])
    pairs = [
        pair
        for pair in head_pairs(head, auxiliary=True)
        if pair.source.startswith(f"{part}.")
    ]
    variables = {f"{part}/{_tail(v.path)}": v for v in layer.weights}
    state = {f"{part}.{key}": values for key, values in state.items()}
    fill(variables, pairs, state, VARIANTS["svt_small"])


def _tail(path: str) -> str:
    return path.split("/", 1)[1]


@pytest.mark.parametrize("name", UNITS)
def test_reference(name):
    build, head, part, seed = UNITS[name]
    layer, maps = build(), _inputs(name, seed)
    if name == "fcnhead":
        maps = maps[2]
    layer(maps)
    _fill(layer, head, part, name)
    found = layer(maps)
    found = found if isinstance(found, list) else [found]
    (case,) = (c for c in MANIFEST["cases"] if c["name"] == name)
    arrays = np.load(GOLDEN / MANIFEST["file"])
    outputs = [o for o in case["outputs"] if o["name"] != "up"]
    assert outputs
    for x, output in zip(found, outputs, strict=True):
        difference = compare_output(x, output, arrays[output["npz_key"]])
        assert difference < TOLERANCE * output["std"], output["name"]


def test_semantic_fpn_head():
    check_layer(
        lambda **kw: SemanticFPNHead(5, 6, **kw),
        MAPS,
        (2, 13, 11, 5),
        num_weights=4 * 5 + 2,
    )


def test_uper_head():
    check_layer(
        lambda **kw: UPerHead(5, 6, pool_bins=(1, 2), **kw),
        MAPS,
        (2, 13, 11, 5),
        num_weights=8 * 5 + 2,
    )


def test_fcn_head():
    check_layer(
        lambda **kw: FCNHead(5, 6, **kw),
        MAPS[1],
        (2, 7, 6, 5),
        num_weights=5 + 2,
    )


def test_training_drops_whole_channels():
    head = FCNHead(3, 64, dropout_rate=0.5)
    ones = np.ones((1, 4, 4, 64), "float32")
    dropped = to_numpy(head.dropout(ones, training=True))
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert (dropped == dropped[:, :1, :1]).all()
    np.testing.assert_array_equal(to_numpy(head.dropout(ones)), ones)


@pytest.mark.parametrize("cls", [SemanticFPNHead, UPerHead, FCNHead])
def test_numbers_must_be_positive(cls):
    with pytest.raises(ValueError, match="`num_classes` and `filters` must be"):
        cls(0, 4)
