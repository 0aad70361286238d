import dataclasses

import numpy as np
import pytest

from keras_twins import VARIANTS
from keras_twins.weights.code_bases import TABLES
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.recognition import recognise_naming
from tests import tiny
from tests.weights_port.files import disguise
from tests.weights_port.files import official_state
from tests.weights_port.files import with_prefix
from weights_port import to_official
from weights_port.recognise import expect
from weights_port.recognise import match_variant
from weights_port.recognise import observe

NAMINGS = tuple(TABLES)


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("config", [tiny.SVT, tiny.PCPVT], ids=["svt", "pcpvt"])
def test_the_naming_is_recognised_from_names_and_shapes(naming, config):
    state = disguise(official_state(config), naming)
    assert recognise_naming(state) == naming


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("config", [tiny.SVT, tiny.PCPVT], ids=["svt", "pcpvt"])
def test_a_state_becomes_official(naming, config):
    classes = None if naming == "mmsegmentation" else 5
    expected = official_state(config, classes)
    given = with_prefix(disguise(expected, naming), "backbone.")
    official = to_official({"state_dict": given}, architecture=config)
    assert official.wrappers == ("state_dict", "backbone.")
    assert (official.naming, official.classes) == (naming, classes)
    assert official.state.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(official.state[name], values)


@pytest.mark.parametrize(
    ("naming", "config", "dialect"),
    [
        ("official", tiny.SVT, "official"),
        ("paddle", tiny.SVT, "official"),
        ("mmpretrain", tiny.SVT, "mmpretrain_svt"),
        ("mmpretrain", tiny.PCPVT, "mmpretrain_pcpvt"),
        ("mmsegmentation", tiny.SVT, "mmsegmentation"),
    ],
)
def test_the_dialect_follows_from_the_code_base(naming, config, dialect):
    state = disguise(official_state(config), naming)
    official = to_official(state, architecture=config)
    assert official.dialect == dialect
    assert official.config == config.with_dialect(dialect)


@pytest.mark.parametrize(
    ("head", "dialect"),
    [
        ("decode_head.conv_seg.bias", "official_segmentation"),
        ("bbox_head.retina_cls.bias", "official_detection"),
        ("roi_head.mask_head.conv_logits.bias", "official_detection"),
    ],
)
def test_dense_files_give_a_backbone(head, dialect):
    config = dataclasses.replace(tiny.SVT, output_norms=True)
    state = official_state(config) | {head: np.zeros(3, "float32")}
    official = to_official(state, architecture=tiny.SVT)
    assert official.dialect == dialect
    assert official.config.output_norms
    assert not official.include_top and not official.final_norm
    assert head in official.left_out


def test_a_given_dialect_is_kept():
    state = official_state(tiny.SVT)
    official = to_official(state, architecture=tiny.SVT, dialect="timm")
    assert official.dialect == "timm"


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_differ_in_what_shapes_show(variant):
    assert match_variant(expect(VARIANTS[variant])) == variant


def test_what_is_seen_is_what_the_config_says():
    for config in (tiny.SVT, tiny.PCPVT):
        assert observe(official_state(config)) == expect(config)


def test_unknown_names_are_listed():
    state = {"layer1.0.conv1.weight": np.zeros(3), "fc.weight": np.zeros(3)}
    with pytest.raises(CheckpointError, match=r"unknown.*layer1 \(1\).*near"):
        to_official(state)


def test_names_of_two_code_bases_are_refused():
    state = official_state(tiny.SVT)
    state |= disguise(state, "mmpretrain")
    with pytest.raises(CheckpointError, match="of several code bases"):
        to_official(state, architecture=tiny.SVT)


def test_matrices_of_two_layouts_are_refused():
    state = official_state(tiny.PCPVT)
    name = "blocks.0.0.attn.kv.weight"
    state[name] = state[name].T
    with pytest.raises(CheckpointError, match="one way"):
        to_official(state, architecture=tiny.PCPVT)


def test_another_architecture_names_the_nearest_variant():
    with pytest.raises(CheckpointError, match=r"none of .*nearest is 'svt_"):
        to_official(official_state(tiny.SVT))


def test_too_little_to_tell_variants_apart():
    seen = {fact: (None,) * 4 for fact in expect(tiny.SVT)}
    seen["depths"] = (3, 4, 6, 3)
    assert match_variant(seen) == "pcpvt_small"
    seen["depths"] = (2, 2, 18, 2)
    with pytest.raises(CheckpointError, match="svt_base.*svt_large"):
        match_variant(seen)


def test_all_faults_are_told_at_once():
    state = official_state(tiny.SVT)
    del state["blocks.2.1.mlp.fc1.bias"]
    state["blocks.0.0.norm1.weight"] = np.ones(9, "float32")
    state["head.bias"][2] = np.nan
    state["norm.bias"] = np.zeros(32, "int64")
    state["pos_embed"] = np.zeros(3, "float32")
    state["epoch"] = 3
    state["scale"] = np.array(1.0, "float32")
    with pytest.raises(CheckpointError) as caught:
        to_official(state, architecture=tiny.SVT)
    message = str(caught.value)
    for part in (
        "7 ways",
        "blocks.2.1.mlp.fc1.bias: missing, expected the shape (48,)",
        "blocks.0.0.norm1.weight: expected the shape (8,), got (9,)",
        "head.bias: 1 numbers are not finite",
        "norm.bias: expected floating-point numbers, got int64",
        "pos_embed: an unknown name",
        "epoch: not a tensor but a int",
        "scale: a single number, not a tensor",
    ):
        assert part in message


def test_half_a_classifier_is_missing_the_other_half():
    state = official_state(tiny.SVT)
    del state["norm.weight"], state["norm.bias"], state["head.bias"]
    with pytest.raises(CheckpointError) as caught:
        to_official(state, architecture=tiny.SVT)
    for name in ("norm.weight", "norm.bias", "head.bias"):
        assert f"{name}: missing" in str(caught.value)


def test_unknown_arguments_name_the_known_ones():
    state = official_state(tiny.SVT)
    with pytest.raises(ValueError, match="`naming` must be one of.*paddle"):
        to_official(state, naming="tensorflow")
    with pytest.raises(ValueError, match="`dialect` must be one of"):
        to_official(state, architecture=tiny.SVT, dialect="klingon")
    with pytest.raises(ValueError, match="`variant` must be one of"):
        to_official(state, architecture="svt_huge")
