"""The mapping: complete, a bijection, exact in both directions."""

import dataclasses

import keras
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

import keras_twins
from keras_twins import TwinsBackbone
from keras_twins.config import VARIANTS
from keras_twins.weights import CheckpointError
from keras_twins.weights import expected_pairs
from keras_twins.weights import export_state
from keras_twins.weights import load_state
from keras_twins.weights import write_safetensors
from keras_twins.weights.filling import adapt_stem
from tests.tiny import PCPVT
from tests.tiny import SHALLOW
from tests.tiny import SVT
from tests.tiny import randomise
from tests.tiny import to_numpy

COUNTS = {
    "pcpvt_small": 304,
    "pcpvt_base": 520,
    "pcpvt_large": 754,
    "svt_small": 290,
    "svt_base": 384,
    "svt_large": 384,
}
CONFIGS = {
    "svt": SHALLOW,
    "pcpvt": PCPVT,
    "depthwise": dataclasses.replace(PCPVT, reduction="depthwise_conv"),
    "average": dataclasses.replace(PCPVT, reduction="average_pool"),
    "no encoding": dataclasses.replace(SHALLOW, position_encoding="none"),
    "output norms": dataclasses.replace(SHALLOW, output_norms=True),
}


def backbone(config=SHALLOW, seed=0, **kwargs) -> TwinsBackbone:
    model = TwinsBackbone(config, (32, 32, 3), **kwargs)
    randomise(model, seed)
    return model


def classifier(config=SHALLOW, **kwargs) -> keras.Model:
    kwargs = {"input_shape": (32, 32, 3), "classes": 5} | kwargs
    model = keras_twins.classifier(config, weights=None, **kwargs)
    randomise(model)
    return model


def values(model) -> list[np.ndarray]:
    return [to_numpy(variable).copy() for variable in model.weights]


def check_same(found, expected) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("variant", COUNTS)
def test_every_variant_has_the_tensors_of_its_checkpoint(variant):
    pairs = expected_pairs(VARIANTS[variant])
    assert len(pairs) == COUNTS[variant]
    assert len({pair.source for pair in pairs}) == len(pairs)
    assert len({pair.path for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_round_trip_is_exact(name):
    config = CONFIGS[name]
    model = backbone(config, seed=1)
    state = export_state(model, config)
    other = backbone(config, seed=2)
    load_state(other, config, state, include_top=False)
    check_same(values(other), values(model))


def test_a_classifier_has_its_head_and_a_backbone_may_lack_the_norm():
    state = export_state(classifier(), SHALLOW)
    assert state["head.weight"].shape == (5, 32)
    bare = backbone(final_norm=False)
    assert not {"norm.weight", "head.weight"} & set(export_state(bare, SHALLOW))
    load_state(bare, SHALLOW, state, include_top=False)
    for name, array in export_state(bare, SHALLOW).items():
        np.testing.assert_array_equal(array, state[name])


def test_arrays_have_the_layout_of_torch():
    config = CONFIGS["depthwise"]
    model = backbone(config)
    state = export_state(model, config)
    weights = {v.path: to_numpy(v) for v in model.weights}
    linear = weights["stage1_block0/attention/kv/kernel"]
    np.testing.assert_array_equal(state["blocks.1.0.attn.kv.weight"], linear.T)
    stem = weights["stage0_patch_embedding/projection/kernel"]
    for (out, channel, row, column), value in np.ndenumerate(
        state["patch_embeds.0.proj.weight"]
    ):
        assert value == stem[row, column, channel, out]
    for name, path in (
        ("pos_block.1.proj.0.weight", "stage1_peg/depthwise/kernel"),
        (
            "blocks.0.0.attn.sr.weight",
            "stage0_block0/attention/reduction/kernel",
        ),
    ):
        for (channel, one, row, column), value in np.ndenumerate(state[name]):
            assert value == weights[path][row, column, channel, one]
    np.testing.assert_array_equal(
        state["blocks.2.0.attn.norm.weight"],
        weights["stage2_block0/attention/reduction_norm/gamma"],
    )


@pytest.mark.parametrize("dtype", ["float16", "float64", ml_dtypes.bfloat16])
def test_other_floating_dtypes_are_accepted(dtype):
    model = backbone()
    state = {
        name: array.astype(dtype)
        for name, array in export_state(model, SHALLOW).items()
    }
    load_state(model, SHALLOW, state, include_top=False)
    for name, array in export_state(model, SHALLOW).items():
        np.testing.assert_array_equal(array, state[name].astype("float32"))


def test_everything_that_is_wrong_is_told_at_once_and_nothing_assigned():
    model = classifier()
    before = values(model)
    state = {n: a + 1 for n, a in export_state(model, SHALLOW).items()}
    del state["norm.weight"]
    state["extra.weight"] = np.zeros(3, "float32")
    state["head.weight"] = state["head.weight"].T
    state["norm.bias"] = np.zeros(32, "int64")
    state["head.bias"] = "text"
    state["patch_embeds.3.norm.bias"][7] = np.nan
    with pytest.raises(CheckpointError) as caught:
        load_state(model, SHALLOW, state, include_top=True)
    message = str(caught.value)
    assert "6 problems" in message
    for part in (
        "norm.weight: missing",
        "extra.weight: unknown",
        "head.weight: shape (32, 5)",
        "norm.bias: expected floating numbers, found int64",
        "head.bias: expected floating numbers, found str",
        "patch_embeds.3.norm.bias: holds values that are not finite",
    ):
        assert part in message
    check_same(values(model), before)


def test_a_long_list_is_cut():
    with pytest.raises(CheckpointError, match="and [0-9]+ more"):
        load_state(backbone(), SHALLOW, {}, include_top=False)


def test_only_the_head_is_left_out_without_the_top():
    model = backbone()
    state = export_state(model, SHALLOW)
    head = {"head.weight": np.ones((9, 32)), "head.bias": np.ones(9)}
    load_state(model, SHALLOW, state | head, include_top=False)
    for name in ("head.fc.weight", "norm_list.0.weight"):
        spare = {name: np.ones(3, "float32")}
        with pytest.raises(CheckpointError, match=f"{name}: unknown"):
            load_state(model, SHALLOW, state | spare, include_top=False)
    model = classifier()
    with pytest.raises(CheckpointError, match="head.weight: missing"):
        load_state(model, SHALLOW, state, include_top=True)


def test_counters_of_batch_norms_are_ignored():
    model = backbone()
    counter = {"x.num_batches_tracked": np.asarray(3)}
    state = export_state(model, SHALLOW) | counter
    load_state(model, SHALLOW, state, include_top=False)


def test_a_stem_for_other_channels():
    kernel = np.arange(2 * 3 * 2 * 2, dtype="float32").reshape(2, 3, 2, 2)
    assert adapt_stem(kernel, 3) is kernel
    grey = adapt_stem(kernel, 1)
    np.testing.assert_array_equal(grey[:, 0], kernel.sum(axis=1))
    five = adapt_stem(kernel, 5)
    for channel, original in enumerate((0, 1, 2, 0, 1)):
        np.testing.assert_allclose(
            five[:, channel], kernel[:, original] * 0.6, rtol=1e-6
        )


@pytest.mark.parametrize("channels", [1, 4])
def test_rgb_weights_fill_a_model_of_other_channels(channels):
    state = export_state(backbone(), SHALLOW)
    model = TwinsBackbone(SHALLOW, (32, 32, channels))
    load_state(model, SHALLOW, state, include_top=False)
    found = export_state(model, SHALLOW)
    stem = "patch_embeds.0.proj.weight"
    adapted = adapt_stem(state[stem], channels)
    np.testing.assert_array_equal(found[stem], adapted)
    load_state(model, SHALLOW, found, include_top=False)  # its own channels
    np.testing.assert_array_equal(export_state(model, SHALLOW)[stem], adapted)


def test_layers_before_the_network_are_left_alone():
    image = keras.Input((32, 32, 4))
    before = keras.layers.Conv2D(3, 3, padding="same", name="mine")
    model = TwinsBackbone(SHALLOW, input_tensor=before(image))
    kernel = to_numpy(before.kernel).copy()
    state = export_state(backbone(seed=3), SHALLOW)
    load_state(model, SHALLOW, state, include_top=False)
    np.testing.assert_array_equal(to_numpy(before.kernel), kernel)
    assert set(export_state(model, SHALLOW)) == set(state)


def test_a_model_of_another_architecture_is_not_exported():
    with pytest.raises(CheckpointError, match="do not fit"):
        export_state(backbone(), SVT)


def test_half_precision_models_are_filled_and_exported_as_float32():
    state = export_state(backbone(), SHALLOW)
    model = TwinsBackbone(SHALLOW, (32, 32, 3), dtype="bfloat16")
    load_state(model, SHALLOW, state, include_top=False)
    for name, array in export_state(model, SHALLOW).items():
        assert array.dtype == "float32"
        rounded = state[name].astype(ml_dtypes.bfloat16).astype("float32")
        np.testing.assert_array_equal(array, rounded)


def test_safetensors_are_written_complete_or_not_at_all(tmp_path):
    path = tmp_path / "w.safetensors"
    state = {"a": np.arange(6, dtype="float32").reshape(2, 3).T}
    write_safetensors(state, path)
    np.testing.assert_array_equal(load_file(path)["a"], state["a"])
    whole = path.read_bytes()
    with pytest.raises(OSError, match="cannot be written: .*Unknown dtype"):
        write_safetensors({"a": np.asarray(["text"])}, path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]
