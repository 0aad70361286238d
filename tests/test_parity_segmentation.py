"""Whole models against those of mmsegmentation, on this backend.

Maps of the backbone, of the neck, scores, classes and losses. Float32 noise
of the originals themselves is below 2e-5 of the standard deviation.
"""

import json
import pathlib

import keras
import pytest

from weights_port.parity_segmentation import SEGMENTATION_MANIFESTS
from weights_port.parity_segmentation import identify
from weights_port.parity_segmentation import measure_segmentation

GOLDEN = pathlib.Path(__file__).parent / "golden"
LIMIT = 1e-4
LIMITS = {"classes": 1e-4, "loss": 1e-5}
QUICK = {
    ("mmseg_semantic_fpn", "pcpvt_small"),
    ("mmseg_upernet", "svt_small"),
}
"""Every layer is in one of them; `make parity` has all on each backend."""


def _models():
    for file in SEGMENTATION_MANIFESTS:
        cases = json.loads((GOLDEN / file).read_text())["cases"]
        for name in dict.fromkeys(case["model"] for case in cases):
            yield identify(name)


def _quick_and_slow():
    for source, variant in _models():
        more = (source, variant) not in QUICK
        small = variant.endswith("_small")
        slow = more and not (small and keras.backend.backend() == "torch")
        marks = [pytest.mark.slow] if slow else []
        yield pytest.param(source, variant, marks=marks)


def test_there_are_references_for_both_families_and_heads():
    assert len(QUICK & set(_models())) == 2
    assert {variant for _, variant in _models()} >= {"pcpvt_small", "svt_small"}


@pytest.mark.parametrize("source, variant", list(_quick_and_slow()))
def test_models(source, variant):
    rows = list(measure_segmentation(GOLDEN, [source], [variant]))
    names = {row.output for row in rows}
    parts = {"aux_low"} if "upernet" in source else {"neck0", "neck3"}
    assert {"logits", "stage1", "stage4", "classes", "loss", *parts} <= names
    for row in rows:
        assert row.relative <= LIMITS.get(row.output, LIMIT), row
