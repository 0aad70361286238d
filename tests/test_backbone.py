"""The backbone: its pyramid, its options, its serialisation."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins import TwinsBackbone
from tests import tiny


def _backbone(config=tiny.SVT, **arguments):
    backbone = TwinsBackbone(config, **arguments)
    tiny.randomise(backbone)
    return backbone


def test_pyramid():
    backbone = _backbone()
    x = tiny.images(2, 75, 118, 3)
    maps = backbone.feature_model([0, 1, 2, 3]).predict_on_batch(x)
    for level, (found, dim) in enumerate(
        zip(maps, tiny.SVT.embed_dims, strict=True), start=2
    ):
        sides = [75 // 4, 118 // 4]
        for _ in range(level - 2):
            sides = [side // 2 for side in sides]
        assert found.shape == (2, *sides, dim)
        assert np.isfinite(found).all()


def test_attributes_that_heads_read():
    backbone = _backbone(image_shape=(64, 96, 3))
    levels = ["P2", "P3", "P4", "P5"]
    assert list(backbone.pyramid_outputs) == levels == backbone.stage_names
    assert backbone.hidden_dims == backbone.embedding_dims == [8, 16, 24, 32]
    assert backbone.image_shape == (64, 96, 3)
    assert backbone.data_format == "channels_last"
    for level, info in zip(levels, backbone.feature_info, strict=True):
        name = backbone.pyramid_level_inputs[level]
        assert info["module"] == name
        assert info["reduction"] == 2 ** int(level[1])
        output = backbone.get_layer(name).output
        assert output.shape == backbone.pyramid_outputs[level].shape
        assert output.shape[-1] == info["num_chs"]
        assert output.shape[1] == 64 // info["reduction"]


def test_final_norm_is_on_the_output_only():
    x = tiny.images(1, 64, 64, 3)
    with_norm, without = _backbone(), _backbone(final_norm=False)
    p5 = with_norm.feature_model([-2, -1]).predict_on_batch(x)[1]
    np.testing.assert_allclose(without.predict_on_batch(x), p5, atol=1e-5)
    norm = with_norm.get_layer("norm")
    np.testing.assert_allclose(
        with_norm.predict_on_batch(x), tiny.to_numpy(norm(p5)), atol=1e-5
    )


def test_output_norms_are_in_line():
    """What a stage gives is what the next stage gets."""
    config = dataclasses.replace(tiny.SVT, output_norms=True)
    backbone = _backbone(config)
    names = list(backbone.pyramid_level_inputs.values())
    assert names == [f"stage{stage}_output_norm" for stage in range(4)]
    plain = _backbone()
    shared = {w.path: w for w in backbone.weights}
    for weight in plain.weights:
        weight.assign(tiny.to_numpy(shared[weight.path]))
    x = tiny.images(1, 64, 64, 3)
    first, second = (
        model.feature_model([0, 1]).predict_on_batch(x)
        for model in (backbone, plain)
    )
    normalised = tiny.to_numpy(
        backbone.get_layer("stage0_output_norm")(second[0])
    )
    np.testing.assert_allclose(first[0], normalised, atol=1e-5)
    assert np.abs(first[1] - second[1]).max() > 1e-2


# Patch embeddings, PEG and final norm have 16 + 8 + 2 weights; a local block
# has 12; a global one 18, without reduction 14.
ABLATIONS = {
    # name: (fields, number of weights)
    "svt": ({}, 140),
    "all_local": ({"attention_pattern": ("L",) * 4}, 122),
    "all_global": ({"attention_pattern": ("G",) * 4}, 166),
    "llg": ({"attention_pattern": ("LLG",) * 4}, 128),
    "last_stage_global": (
        {"attention_pattern": ("LG", "LG", "LG", "G")},
        142,
    ),
    "no_position_encoding": ({"position_encoding": "none"}, 132),
    "average_pool": ({"reduction": "average_pool"}, 134),
    "depthwise": ({"reduction": "depthwise_conv"}, 140),
    "corner": ({"patch_padding": "corner"}, 140),
    "masked": ({"window_padding": "masked"}, 140),
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablations(name):
    fields, num_weights = ABLATIONS[name]
    backbone = _backbone(dataclasses.replace(tiny.SVT, **fields))
    outputs = backbone.predict_on_batch(tiny.images(1, 70, 41, 3))
    sides = (3, 2) if name == "corner" else (2, 1)
    assert outputs.shape == (1, *sides, 32)
    assert np.isfinite(outputs).all()
    assert len(backbone.weights) == num_weights


def test_settings_reach_the_layers():
    config = dataclasses.replace(
        tiny.SVT,
        layer_norm_epsilon=1e-3,
        patch_norm_epsilon=2e-3,
        reduction_norm_epsilon=3e-3,
        window_padding="masked",
    )
    backbone = TwinsBackbone(
        config, drop_path_rate=0.7, attention_dropout_rate=0.1
    )
    local = backbone.get_layer("stage2_block0")
    last = backbone.get_layer("stage3_block0")
    gsa = backbone.get_layer("stage2_block1")
    assert local.norm1.epsilon == local.norm2.epsilon == 1e-3
    assert backbone.get_layer("norm").epsilon == 1e-3
    assert backbone.get_layer("stage1_patch_embedding").norm.epsilon == 2e-3
    assert gsa.attention.reduction_norm.epsilon == 3e-3
    assert local.attention.window_padding == "masked"
    assert local.attention.attention_dropout_rate == 0.1
    assert last.drop_path_rate == pytest.approx(0.7)
    assert backbone.get_layer("stage0_block0").drop_path_rate == 0


def test_features_by_index():
    backbone = _backbone()
    x = tiny.images(1, 64, 64, 3)
    stages = backbone.feature_model([0, -1]).predict_on_batch(x)
    blocks = backbone.feature_model([1, -1], of="blocks").predict_on_batch(x)
    for a, b in zip(stages, blocks, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    named = backbone.feature_model(["P2", "P5"]).predict_on_batch(x)
    for a, b in zip(stages, named, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="`indices`"):
        backbone.feature_model(["P2"], of="blocks")
    for wrong in ([4], [-5], [], ["P6"]):
        with pytest.raises(ValueError, match="`indices`"):
            backbone.feature_model(wrong)
    with pytest.raises(ValueError, match="of='layers'"):
        backbone.feature_model([0], of="layers")


def test_comes_back_from_its_config():
    backbone = _backbone(
        drop_path_rate=0.1, final_norm=False, dtype="mixed_bfloat16"
    )
    config = backbone.get_config()
    again = TwinsBackbone.from_config(config)
    assert again.get_config() == config
    assert again.get_layer("stage0_block0").compute_dtype == "bfloat16"


@pytest.mark.parametrize("size", [(None, None), (64, 96)])
def test_saves_and_loads(tmp_path, size):
    backbone = _backbone(image_shape=(*size, 3))
    x = tiny.images(1, 64, 96, 3)
    expected = backbone.predict_on_batch(x)
    backbone.save(tmp_path / "backbone.keras")
    again = keras.saving.load_model(tmp_path / "backbone.keras")
    assert isinstance(again, TwinsBackbone)
    assert again.pyramid_level_inputs == backbone.pyramid_level_inputs
    np.testing.assert_allclose(again.predict_on_batch(x), expected, atol=1e-6)


def test_weights_do_not_depend_on_rates(tmp_path):
    """Stochastic layers have no weights: a file fits with any rate."""
    first = _backbone(drop_path_rate=0.5, dropout_rate=0.1)
    first.save_weights(tmp_path / "a.weights.h5")
    second = TwinsBackbone(tiny.SVT)
    second.load_weights(tmp_path / "a.weights.h5")
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_clone_has_the_same_graph():
    backbone = _backbone()
    clone = keras.models.clone_model(backbone)
    clone.set_weights(backbone.get_weights())
    x = tiny.images(1, 64, 64, 3)
    np.testing.assert_allclose(
        clone.predict_on_batch(x), backbone.predict_on_batch(x), atol=1e-5
    )


def test_builds_upon_a_tensor():
    image = keras.Input((64, 64, 1))
    three = keras.layers.Concatenate()([image] * 3)
    backbone = TwinsBackbone(tiny.SVT, input_tensor=three)
    assert backbone.input is image
    assert backbone.output.shape == (None, 2, 2, 32)


def test_saving_what_stands_on_other_layers_is_refused():
    """Its configuration lacks them: it would come back as another model."""
    image = keras.Input((64, 64, 3))
    backbone = TwinsBackbone(
        tiny.SVT, input_tensor=keras.layers.Rescaling(2.0, 1.0)(image)
    )
    with pytest.raises(ValueError, match="cannot be saved as such"):
        backbone.get_config()
    plain = TwinsBackbone(tiny.SVT, input_tensor=image)
    assert plain.get_config()["image_shape"] == [64, 64, 3]


def test_the_dtype_of_images_comes_back():
    backbone = TwinsBackbone(tiny.SVT, image_dtype="uint8")
    again = TwinsBackbone.from_config(backbone.get_config())
    assert again.input.dtype == "uint8"


def test_too_small_images_are_refused():
    with pytest.raises(ValueError, match="at least 32x32"):
        TwinsBackbone(tiny.SVT, image_shape=(31, 64, 3))
    local = dataclasses.replace(
        tiny.SVT, attention_pattern=("L",) * 4, patch_sizes=(2, 2, 2, 1)
    )
    assert TwinsBackbone(local, image_shape=(8, 8, 3)).output.shape[1] == 1


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"depths": (1, 1, 1)}, "one entry for each"),
        ({"depths": (1, 1, 1, 0)}, "positive integers"),
        ({"num_heads": (3, 2, 3, 4)}, "divisible"),
        ({"attention_pattern": ("LX", "L", "L", "L")}, "'L'"),
        ({"attention_pattern": ("", "L", "L", "L")}, "'L'"),
        ({"mlp_ratios": (0, 1, 1, 1)}, "positive numbers"),
        ({"reduction": "max_pool"}, "reduction='max_pool'"),
        ({"position_encoding": "rope"}, "position_encoding='rope'"),
    ],
)
def test_configs_are_checked(fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(tiny.SVT, **fields)


def test_variants_are_those_of_the_paper():
    """Depths and patterns: a wrong depth once cost a port half a percent."""
    depths = {name: c.depths for name, c in keras_twins.VARIANTS.items()}
    assert depths == {
        "pcpvt_small": (3, 4, 6, 3),
        "pcpvt_base": (3, 4, 18, 3),
        "pcpvt_large": (3, 8, 27, 3),
        "svt_small": (2, 2, 10, 4),
        "svt_base": (2, 2, 18, 2),
        "svt_large": (2, 2, 18, 2),
    }
    svt = keras_twins.VARIANTS["svt_small"]
    assert svt.block_kinds(3) == ("local", "global", "local", "global")
    assert set(keras_twins.VARIANTS["pcpvt_large"].block_kinds(2)) == {"global"}


def test_a_name_is_no_config():
    with pytest.raises(ValueError, match="from_variant.*svt_small"):
        TwinsBackbone("svt_small")
