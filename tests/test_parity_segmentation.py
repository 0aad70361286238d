"""Whole models against those of mmsegmentation, on this backend.

Maps of the backbone, of the neck, scores, classes and losses. Float32 noise
of the originals themselves is below 2e-5 of the standard deviation.
"""

import json
import pathlib

import keras
import numpy as np
import pytest

from keras_twins import TwinsBackbone
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet
from keras_twins.segmentation.losses import SegmentationCrossEntropy
from keras_twins.segmentation.model import feature_extractor
from keras_twins.segmentation.pretrained import dense_config
from keras_twins.weights.dense import fill_dense
from keras_twins.weights.renaming import rename
from keras_twins.weights.unwrapping import unwrap
from tests.tiny import to_numpy
from weights_port.golden import rule_image
from weights_port.golden import rule_state
from weights_port.parity import compare_output

GOLDEN = pathlib.Path(__file__).parent / "golden"
LIMIT = 1e-4
SIZES = {"s": "small", "b": "base", "l": "large"}


def _cases():
    """Base and large are more of the same layers."""
    for file in ("mmseg_twins_main", "mmseg_twins_rest"):
        manifest = json.loads((GOLDEN / f"{file}.json").read_text())
        for name in dict.fromkeys(case["model"] for case in manifest["cases"]):
            slow = file.endswith("rest")
            marks = [pytest.mark.slow] if slow else []
            yield pytest.param(file, name, marks=marks)


def _build(name: str, entry) -> keras.Model:
    family, size = name.split("_")[0].split("-")
    cls = UPerNet if "uperhead" in name else SemanticFPN
    config = dense_config(f"{family}_{SIZES[size]}", "mmsegmentation")
    model = cls(
        TwinsBackbone(config, final_norm=False), include_preprocessing=False
    )
    state, _ = unwrap(rule_state(entry))
    renaming = rename(state, "mmsegmentation", keep_heads=True)
    assert not renaming.problems
    fill_dense(model, config, model.head_name, renaming.state)
    return model


def _check(found, case, arrays, names) -> None:
    outputs = {output["name"]: output for output in case["outputs"]}
    for x, name in zip(found, names, strict=True):
        output = outputs[name]
        difference = compare_output(x, output, arrays[output["npz_key"]])
        assert difference < LIMIT * output["std"], (case["model"], name)


def _check_classes(scores: np.ndarray, case, arrays) -> None:
    (output,) = (x for x in case["outputs"] if x["name"] == "argmax")
    expected = arrays[output["npz_key"]].reshape(output["shape"])
    agreement = (scores[0].argmax(-1) == expected).mean()
    assert agreement >= 0.9999, (case["model"], agreement)


def _check_loss(scores: np.ndarray, case) -> None:
    height, width = scores.shape[1:3]
    generator = np.random.Generator(np.random.PCG64(case["gt_seed"]))
    labels = generator.integers(0, 150, size=(height, width))
    labels[:16, :24] = 255
    # mmsegmentation divides by all pixels, also those that it ignores.
    loss = SegmentationCrossEntropy(mean_over="all")(labels[None], scores)
    expected = case["losses_eval_mode"]["decode.loss_ce"]
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("file, name", list(_cases()))
def test_models(file, name):
    manifest = json.loads((GOLDEN / f"{file}.json").read_text())
    arrays = np.load(GOLDEN / manifest["file"])
    model = _build(name, manifest["models"][name])
    maps = feature_extractor(model.backbone)
    cases = [case for case in manifest["cases"] if case["model"] == name]
    for case in cases:
        images = rule_image(case["seed"], case["input_shape"])
        scores = model.predict_on_batch(images)
        _check([scores], case, arrays, ["logits_full"])
        _check_classes(scores, case, arrays)
        _check_loss(scores, case)
        if case is cases[-1]:
            found = maps.predict_on_batch(images)
            names = [f"backbone{level}" for level in range(4)]
            _check(found, case, arrays, names)
            _check_heads(model, found, case, arrays)


def _check_heads(model, maps, case, arrays) -> None:
    """The parts that are not seen in the scores."""
    if isinstance(model, UPerNet):
        auxiliary = to_numpy(model.auxiliary_head(maps[2]))
        _check([auxiliary], case, arrays, ["aux_low"])
        return
    neck = [to_numpy(x) for x in model.get_layer("neck")(maps)]
    _check(neck, case, arrays, [f"neck{level}" for level in range(4)])
