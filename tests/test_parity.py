"""Our outputs against those of the original systems, on this backend.

Float32 noise of the originals themselves, against float64: 2e-6 of the
standard deviation of logits, 4e-6 of that of features.
"""

import dataclasses
import json
import pathlib

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins import VARIANTS
from keras_twins import TwinsBackbone
from keras_twins.weights import load_state
from weights_port.golden import rule_image
from weights_port.golden import rule_state
from weights_port.official import to_official
from weights_port.parity import MANIFESTS
from weights_port.parity import compare_output
from weights_port.parity import measure_parity
from weights_port.parity import probe_model
from weights_port.parity import reference_model

GOLDEN = pathlib.Path(__file__).parent / "golden"
TOLERANCE = {"logits": 1e-5, "pooled": 1e-5, "features": 2e-5}


def _manifest(name):
    manifest = json.loads((GOLDEN / f"{name}.json").read_text())
    return manifest, np.load(GOLDEN / manifest["file"])


def _references():
    """Every source and variant of which there are outputs."""
    for source, file in MANIFESTS.items():
        cases = json.loads((GOLDEN / file).read_text())["cases"]
        for variant in dict.fromkeys(case["model"] for case in cases):
            yield source, variant


def test_there_are_references_for_all_variants():
    sources = dict.fromkeys(VARIANTS, ())
    for source, variant in _references():
        sources[variant] += (source,)
    assert all({"official", "timm"} <= {*found} for found in sources.values())
    assert "mmpretrain" in sources["svt_small"] + sources["pcpvt_small"]


def _quick_and_slow():
    """Larger variants are more of the same layers; `make parity` has all."""
    for source, variant in _references():
        more = not variant.endswith("_small")
        slow = more and keras.backend.backend() != "tensorflow"
        marks = [pytest.mark.slow] if slow else []
        yield pytest.param(source, variant, marks=marks)


@pytest.mark.parametrize("source, variant", list(_quick_and_slow()))
def test_classifiers(source, variant):
    rows = list(measure_parity(GOLDEN, [source], [variant]))
    assert {"logits", "stage1", "stage3"} <= {row.output for row in rows}
    for row in rows:
        tolerance = TOLERANCE.get(row.output, TOLERANCE["features"])
        assert row.relative < tolerance, row


def _check_maps(model, case, arrays, tolerance=TOLERANCE["features"]):
    maps = model.predict_on_batch(rule_image(case["seed"], case["input_shape"]))
    for found, output in zip(maps, case["outputs"], strict=True):
        difference = compare_output(found, output, arrays[output["npz_key"]])
        assert difference < tolerance * output["std"], (case, output["name"])


def _dense_backbone(variant, dialect, state):
    """A backbone as dense models have it: SVT with in-line output norms."""
    config = dataclasses.replace(
        VARIANTS[variant].with_dialect(dialect),
        output_norms=variant.startswith("svt"),
    )
    backbone = TwinsBackbone(config, final_norm=False)
    load_state(backbone, config, state, include_top=False)
    return backbone.feature_model([0, 1, 2, 3])


@pytest.mark.parametrize(
    "name, dialect",
    [
        ("backbone_official_seg", "official_segmentation"),
        ("backbone_official_det", "official_detection"),
    ],
)
@pytest.mark.parametrize("variant", ["pcpvt_small", "svt_small"])
def test_dense_backbones(name, dialect, variant):
    """In-line norms; and the masks that the dialects disagree about."""
    manifest, arrays = _manifest(name)
    cases = [c for c in manifest["cases"] if c["model"] == variant]
    assert len(cases) > 2
    state = rule_state(manifest["models"][variant])
    model = _dense_backbone(variant, dialect, state)
    for case in cases:
        _check_maps(model, case, arrays)


EPSILON_PROBES = [
    # (file, model in it, variant, dialect)
    ("official", "cls_pcpvt_small", "pcpvt_small", "official"),
    ("official", "cls_svt_small", "svt_small", "official"),
    ("openmmlab", "mmpretrain_pcpvt_small", "pcpvt_small", "mmpretrain_pcpvt"),
    ("openmmlab", "mmpretrain_svt_small", "svt_small", "mmpretrain_svt"),
]


@pytest.mark.parametrize("file, name, variant, dialect", EPSILON_PROBES)
def test_epsilons_of_classifiers(file, name, variant, dialect):
    """Weights so small that a wrong epsilon moves outputs by a lot."""
    manifest, arrays = _manifest(f"eps_probe_{file}")
    case = next(c for c in manifest["cases"] if c["model"] == name)
    original = to_official(rule_state(manifest["models"][name]))
    outputs = {}
    for tried in {dialect, "official", "mmpretrain_svt"}:
        model = reference_model(variant, tried)
        config = VARIANTS[variant].with_dialect(tried)
        load_state(model, config, original.state, include_top=True)
        found = probe_model(model).predict_on_batch(
            rule_image(case["seed"], case["input_shape"])
        )
        output = next(o for o in case["outputs"] if o["name"] == "logits")
        outputs[tried] = compare_output(
            found["logits"], output, arrays[output["npz_key"]]
        )
        outputs[tried] /= output["std"]
    assert outputs.pop(dialect) < TOLERANCE["logits"]
    assert all(difference > 0.1 for difference in outputs.values())


def test_official_names_are_those_of_timm():
    official, _ = _manifest("cls_official_224")
    timm, _ = _manifest("cls_timm")
    for variant in VARIANTS:
        first, second = (
            {
                (key, tuple(shape))
                for key, shape, _ in m["models"][variant]["state_dict"]
            }
            for m in (official, timm)
        )
        assert first == second


def test_constructors_are_the_reference_models():
    """`TwinsSVTSmall` differs from what is compared in its head only."""
    ours = keras_twins.TwinsSVTSmall(weights=None)
    reference = reference_model("svt_small", "timm")
    skipped = ("normalization", "predictions")
    configs = [
        [
            layer.get_config()
            for layer in model.layers
            if layer.name not in skipped
            and not isinstance(layer, keras.layers.InputLayer)
        ]
        for model in (ours, reference)
    ]
    for a, b in zip(*configs, strict=True):
        assert a["name"] == b["name"]
        assert _without_seeds(a) == _without_seeds(b)


def _without_seeds(config):
    return {k: v for k, v in config.items() if "initializer" not in k}
