import dataclasses

import numpy as np
import pytest

from keras_twins import VARIANTS
from keras_twins.weights.code_bases import TABLES
from keras_twins.weights.code_bases import split_qkv
from keras_twins.weights.mapping import export_state
from keras_twins.weights.recognition import recognise_naming
from keras_twins.weights.renaming import rename
from keras_twins.weights.unwrapping import unwrap
from tests import tiny
from tests.weights_port.files import manifest
from weights_port.models import Parts
from weights_port.models import build_model
from weights_port.recognise import match_variant
from weights_port.recognise import observe
from weights_port.shapes import expected_shapes

NAMINGS = {
    "cls_timm": "official",
    "cls_mmpretrain": "mmpretrain",
    "backbone_official_seg": "official",
    "eps_probe_openmmlab": None,  # two systems in one file
}
MODELS = [
    (name, model) for name in NAMINGS for model in manifest(name)["models"]
]


def hollow(shapes) -> dict[str, np.ndarray]:
    """Returns tensors of any size that take no memory."""
    zero = np.zeros((), np.float32)
    return {name: np.broadcast_to(zero, shape) for name, shape in shapes}


def variant_of(model: str) -> str:
    return next(name for name in VARIANTS if model.endswith(name))


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_every_tensor_of_a_real_model_is_used_once(name, model):
    entries = manifest(name)["models"][model]["state_dict"]
    state, _ = unwrap(hollow((key, shape) for key, shape, _ in entries))
    naming = recognise_naming(state)
    mmseg = "mmsegmentation" if "mmseg" in model else "mmpretrain"
    assert naming == (NAMINGS[name] or mmseg)
    renaming = rename(state, naming)
    assert renaming.problems == ()
    variant = variant_of(model)
    assert match_variant(observe(renaming.state)) == variant
    dense = any(key.startswith("norm_list") for key in state)
    expected = expected_shapes(
        dataclasses.replace(VARIANTS[variant], output_norms=dense),
        classes=1000 if "head.weight" in renaming.state else None,
        final_norm="norm.weight" in renaming.state,
    )
    found = {key: values.shape for key, values in renaming.state.items()}
    assert found == expected
    packed = sum("in_proj" in key for key in state)
    used = len(state) - len(renaming.left_out) + packed
    assert used == len(expected)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reduction": "depthwise_conv"},
        {"reduction": "average_pool"},
        {"position_encoding": "none", "output_norms": True},
    ],
)
def test_expected_shapes_are_those_of_a_model(changes):
    config = dataclasses.replace(tiny.SVT, **changes)
    model = build_model(config, Parts(channels=1, classes=5))
    state = export_state(model, config)
    found = {name: values.shape for name, values in state.items()}
    assert found == expected_shapes(config, channels=1, classes=5)


def test_the_unused_classifier_of_dense_files_is_left_out():
    model = manifest("backbone_official_seg")["models"]["svt_small"]
    state = hollow((key, shape) for key, shape, _ in model["state_dict"])
    extra = {"decode_head.conv_seg.weight": (150, 4), "neck.a.b": (3,)}
    counter = {"auxiliary_head.bn.num_batches_tracked": ()}
    state |= hollow((extra | counter).items())
    left_out = rename(state, "official").left_out
    unused = {"norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert set(left_out) == unused | extra.keys() | counter.keys()


@pytest.mark.parametrize("naming", TABLES)
def test_no_name_fits_two_rows(naming):
    fields = {"s": 2, "b": 11, "p": "weight"}
    names = [row.source.format(**fields) for row in TABLES[naming]]
    names = {n for n in names if not n.endswith("attn.attn.in_proj_weight")}
    for name in names:
        result = rename({name: np.zeros((2, 2), "float32")}, naming)
        assert len(result.state) == 1 and not result.problems
    templates = [o for row in TABLES[naming] for o in row.official]
    shared = [t for t in templates if templates.count(t) > 1]
    # LSA and GSA of mmsegmentation name one official tensor differently.
    assert set(shared) <= {"blocks.{s}.{b}.attn.proj.{p}"}
    assert not shared or naming == "mmsegmentation"


def test_packed_rows_are_queries_then_keys_and_values():
    q, kv = split_qkv(np.arange(6))
    np.testing.assert_array_equal(q, [0, 1])
    np.testing.assert_array_equal(kv, [2, 3, 4, 5])
    values = np.arange(12, dtype="float32").reshape(6, 2)
    name = "layers.0.1.attn.attn.in_proj_weight"
    state = rename({name: values}, "mmsegmentation").state
    np.testing.assert_array_equal(state["blocks.0.1.attn.q.weight"], values[:2])
    np.testing.assert_array_equal(
        state["blocks.0.1.attn.kv.weight"], values[2:]
    )


def test_only_linear_layers_of_paddle_are_turned():
    conv = np.zeros((4, 4, 8, 8), "float32")
    linear = np.arange(6, dtype="float32").reshape(2, 3)
    state = {"blocks.0.0.attn.sr.weight": conv, "head.weight": linear}
    renamed = rename(state, "paddle").state
    assert renamed["blocks.0.0.attn.sr.weight"].shape == conv.shape
    np.testing.assert_array_equal(renamed["head.weight"], linear.T)


def test_two_tensors_of_one_name_are_a_problem():
    state = {
        "layers.0.0.attn.proj.bias": np.zeros(4),
        "layers.0.0.attn.attn.out_proj.bias": np.zeros(4),
    }
    (problem,) = rename(state, "mmsegmentation").problems
    assert "blocks.0.0.attn.proj.bias already" in problem
