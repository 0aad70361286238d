import json
import pathlib

import keras
import numpy as np
import pytest

from keras_twins.detection.anchors import RETINANET_ANCHORS
from keras_twins.detection.anchors import RPN_ANCHORS
from keras_twins.detection.anchors import AnchorSpec
from tests.compiling import call_compiled
from tests.tiny import to_numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
SPECS = {"anchors_retina": RETINANET_ANCHORS, "anchors_rpn": RPN_ANCHORS}
SIZES = [(64, 80), (32, 40), (16, 20), (8, 10), (4, 5), (2, 3)]


def sizes_of(spec):
    return SIZES[1:] if spec is RETINANET_ANCHORS else SIZES[:5]


def test_a_small_grid():
    spec = AnchorSpec(strides=(4,), scales=(2.0,), ratios=(1.0, 4.0))
    assert spec.per_cell == 2
    (anchors,) = spec.grid([(2, 2)])
    square, tall = np.array([-4, -4, 4, 4]), np.array([-2, -8, 2, 8])
    shifts = [[0, 0, 0, 0], [4, 0, 4, 0], [0, 4, 0, 4], [4, 4, 4, 4]]
    expected = [base + shift for shift in shifts for base in (square, tall)]
    np.testing.assert_array_equal(anchors, expected)


@pytest.mark.parametrize("name", SPECS)
def test_anchors_are_exactly_those_of_mmdetection(name):
    golden, spec = np.load(GOLDEN / "units_mm.npz"), SPECS[name]
    levels = spec.grid(sizes_of(spec))
    assert len(levels) == 5
    for i, level in enumerate(levels):
        assert isinstance(level, np.ndarray) and level.dtype == "float32"
        np.testing.assert_array_equal(level, golden[f"{name}/level{i}"])


@pytest.mark.parametrize("name", SPECS)
def test_flags_are_those_of_mmdetection(name):
    golden, spec = np.load(GOLDEN / "units_mm.npz"), SPECS[name]
    expected = [golden[f"{name}/valid{i}"] for i in range(5)]
    # What is rounded is rounded there before.
    found = call_compiled(
        lambda sizes: spec.inside(sizes_of(spec), sizes, divisor=1),
        np.array([[250, 300], [256, 320]]),
    )
    found = to_numpy(found)
    np.testing.assert_array_equal(found[0], np.concatenate(expected))
    assert found[1, :-54].all() and not found[0].all()


def test_the_padding_of_an_image_to_32_is_inside():
    spec = AnchorSpec(strides=(16,), scales=(1.0,), ratios=(1.0, 2.0))
    found = call_compiled(
        lambda sizes: spec.inside([(4, 4)], sizes),
        np.array([[33, 1], [32, 64], [0, 64]]),
    )
    cells = to_numpy(found).reshape(3, 4, 4, 2)
    expected = np.zeros((3, 4, 4, 2), bool)
    expected[0, :, :2] = expected[1, :2] = True
    np.testing.assert_array_equal(cells, expected)


@pytest.mark.parametrize(
    "file, spec",
    [
        ("mmdet_retinanet_twins", RETINANET_ANCHORS),
        ("mmdet_maskrcnn_twins", RPN_ANCHORS),
    ],
)
def test_anchors_of_whole_models(file, spec):
    golden = np.load(GOLDEN / f"{file}.npz")
    cases = json.loads((GOLDEN / f"{file}.json").read_text())["cases"]
    for case in cases:
        size = case["input_shape"][2:]
        grid = spec.grid(
            [tuple(-(-n // stride) for n in size) for stride in spec.strides]
        )
        kept = {output["name"]: output for output in case["outputs"]}
        for i, (base, level) in enumerate(
            zip(spec.base_anchors(), grid, strict=True)
        ):
            key = kept[f"base_anchors{i}"]["npz_key"]
            np.testing.assert_array_equal(base, golden[key])
            if f"anchors{i}" in kept:
                key = kept[f"anchors{i}"]["npz_key"]
                assert len(level) == kept[f"anchors{i}"]["num_anchors"]
                np.testing.assert_array_equal(level[::11], golden[key])


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="elsewhere the shapes of tensors are integers",
)
def test_sizes_may_be_tensors():
    import tensorflow as tf

    spec = AnchorSpec(RPN_ANCHORS.strides[:2], (8.0,), (0.5, 1.0, 2.0))

    @tf.function(input_signature=[tf.TensorSpec((2, 2), "int32")])
    def run(sizes):
        sizes = [tuple(tf.unstack(size)) for size in tf.unstack(sizes)]
        return spec.grid(sizes), spec.inside(sizes, [[40, 30]])

    sizes = [(13, 9), (7, 5)]
    levels, flags = run(np.array(sizes, "int32"))
    for level, expected in zip(levels, spec.grid(sizes), strict=True):
        np.testing.assert_array_equal(level, expected)
    expected = to_numpy(spec.inside(sizes, [[40, 30]]))
    assert 0 < expected.mean() < 1
    np.testing.assert_array_equal(flags, expected)


def test_wrong_arguments_are_named():
    right = {"strides": (8,), "scales": (4.0,), "ratios": (1.0,)}
    for name, value in (
        ("strides", (8.5,)),
        ("strides", ()),
        ("scales", (0.0,)),
        ("ratios", (-1.0, 1.0)),
    ):
        with pytest.raises(ValueError, match=f"Received: {name}="):
            AnchorSpec(**{**right, name: value})
    with pytest.raises(ValueError, match="Received: level_sizes="):
        RPN_ANCHORS.grid([(4, 4)])
