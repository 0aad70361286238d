"""What the errors about weights that do not fit tell to do."""

import numpy as np
import pytest

from keras_twins.config import VARIANTS
from keras_twins.weights.head_naming import head_pairs
from keras_twins.weights.hints import recognise_variant
from keras_twins.weights.hints import suggest
from keras_twins.weights.naming import expected_pairs
from tests.tiny import SHALLOW

DENSE = ("neck.x.weight", "decode_head.x.weight", "auxiliary_head.x.weight")


def names_only(variant: str) -> dict[str, np.ndarray]:
    """Returns the names of a variant, its widths, and no numbers."""
    config = VARIANTS[variant]
    state = {p.source: np.zeros(1) for p in expected_pairs(config)}
    state["patch_embeds.0.proj.weight"] = np.zeros(
        (config.embed_dims[0], 3, 4, 4)
    )
    return state


def wanted(config, **kwargs) -> list[str]:
    return [pair.source for pair in expected_pairs(config, **kwargs)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_is_recognised(variant):
    state = names_only(variant)
    assert recognise_variant(state) == variant
    state |= dict.fromkeys(
        (*DENSE, "norm_list.0.bias", "x.num_batches_tracked"), np.zeros(1)
    )
    assert recognise_variant(state) == variant


def test_no_published_variant_is_recognised():
    assert recognise_variant(dict.fromkeys(wanted(SHALLOW))) is None
    state = names_only("svt_small")
    del state["blocks.0.0.norm1.bias"]
    assert recognise_variant(state) is None


@pytest.mark.parametrize("config", [SHALLOW, VARIANTS["svt_large"]])
def test_another_variant_is_named(config):
    """Of Twins-SVT, base and large differ in their widths alone."""
    problems = ["blocks.0.0.norm1.bias: shape (1,)"]
    hint = suggest(problems, wanted(config), names_only("svt_base"), config)
    assert "looks like svt_base" in hint


def test_another_number_of_classes_has_two_ways_out():
    config = VARIANTS["svt_small"]
    lines = ["head.weight: shape (7, 64)", "head.bias: shape (7,)"]
    names, state = wanted(config), names_only("svt_small")
    hint = suggest(lines, names, state, config)
    assert "reset_classifier" in hint
    assert "include_top=False" in hint
    lines = ["blocks.0.0.norm1.bias: missing in the file", *lines]
    hint = suggest(lines, names, state, config)
    assert "reset_classifier" not in hint
    assert "`python -m weights_port` converts" in hint


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ("decode_head.scale_heads.0.0.conv.weight", "keras_twins.segmentation"),
        ("auxiliary_head.x.weight", "segmentation or detection"),
        ("roi_head.mask_head.conv_logits.bias", "`keras_twins.detection`"),
        ("bbox_head.conv_centerness.bias", "segmentation or detection"),
    ],
)
def test_a_file_of_a_whole_model_is_none_of_a_backbone(tensor, words):
    config = VARIANTS["svt_small"]
    state = {**names_only("svt_small"), tensor: None}
    lines = [f"{tensor}: unknown, no weight of the model"]
    hint = suggest(lines, wanted(config, include_top=False), state, config)
    assert words in hint and "from_twins" in hint
    assert "reset_classifier" not in hint


@pytest.mark.parametrize(
    ("head", "name", "length", "words"),
    [
        ("upernet", "decode_head.conv_seg.bias", 19, "`num_classes=19`"),
        ("retinanet", "bbox_head.retina_cls.bias", 27, "`num_classes=3`"),
        ("retinanet", "neck.lateral_convs.0.conv.bias", 8, "`filters=8`"),
        (
            "mask_rcnn",
            "roi_head.mask_head.conv_logits.bias",
            3,
            "`num_classes=3`",
        ),
        (
            "mask_rcnn",
            "roi_head.bbox_head.shared_fcs.0.bias",
            16,
            "`units=16`",
        ),
    ],
)
def test_sizes_of_heads_are_those_of_the_file(head, name, length, words):
    names = [pair.source for pair in head_pairs(head)]
    state = {name: np.zeros(length)}
    hint = suggest([f"{name}: shape ({length},)"], names, state, SHALLOW)
    assert hint.endswith(f"with {words}")
    hint = suggest([f"{name}: holds values"], names, state, SHALLOW)
    assert words not in hint
