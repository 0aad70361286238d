import dataclasses
import json

import pytest

from keras_twins.benchmark import LONG
from keras_twins.benchmark import SHORT
from keras_twins.benchmark import SYSTEMS
from keras_twins.benchmark import Case
from keras_twins.benchmark import inference_cases
from keras_twins.benchmark import presets
from keras_twins.benchmark import select_systems
from keras_twins.benchmark import worker
from keras_twins.benchmark.plan import make_panels
from keras_twins.benchmark.plan import read_variants
from keras_twins.config import VARIANTS
from tests import tiny
from tests.benchmark.fakes import system


def entries(panel):
    return [(e.system.name, e.dtype, e.batches) for e in panel.entries]


def test_panels_hold_what_can_be_compared():
    systems = [
        system("timm", reference=True),
        system("ours"),
        system("litert", dtypes=("float32",), training=False),
        system("swin", group="alternative"),
    ]
    cases = [
        *inference_cases((1, 16), dtypes=("float32",)),
        *inference_cases((32,), dtypes=("bfloat16",)),
        Case(training=True, batch=16),
    ]
    variants = {"a": tiny.SVT, "b": tiny.PCPVT}
    inference, training, other, _ = make_panels(systems, variants, cases)
    assert (inference.variant, inference.training) == ("a", False)
    assert entries(inference) == [
        # Whatever is compared with it, in whatever dtype.
        ("timm", "float32", (1, 16, 32)),
        ("timm", "bfloat16", (32,)),
        ("ours", "float32", (1, 16)),
        ("ours", "bfloat16", (32,)),
        ("litert", "float32", (1, 16)),
        ("swin", "float32", (1, 16)),
        ("swin", "bfloat16", (32,)),
    ]
    assert entries(training) == [
        (name, "float32", (16,)) for name in ("timm", "ours", "swin")
    ]
    assert other.variant == "b"
    assert "swin" not in [entry.system.name for entry in other.entries]


def test_variants_by_name_and_from_files(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(tiny.SVT.to_dict()))
    variants = read_variants(["svt_small", str(path)])
    assert variants == {
        "svt_small": VARIANTS["svt_small"],
        "mine": tiny.SVT,
    }
    with pytest.raises(ValueError, match="`variants` must .*'svt_huge'"):
        read_variants(["svt_huge"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": "int4"}, "`dtype` must be one of .*dtype='int4'"),
        ({"batch": 0}, "at least 1. Received: size=224, batch=0"),
    ],
)
def test_wrong_cases(fields, message):
    with pytest.raises(ValueError, match=message):
        Case(**fields)


def test_systems_by_name_and_group():
    names = [s.name for s in select_systems(["timm", "jax"])]
    assert names == ["jax", "timm-eager", "timm-compile"]
    assert select_systems() == tuple(SYSTEMS)
    for wrong in (["caffe"], []):
        with pytest.raises(ValueError, match="`systems` must hold some of"):
            select_systems(wrong)


def test_the_table_of_systems_can_be_followed():
    names = [entry.name for entry in SYSTEMS]
    assert len(set(names)) == len(names)
    assert not {entry.group for entry in SYSTEMS} & set(names)
    for entry in SYSTEMS:
        assert callable(worker.find_function(entry.function))
        if entry.writer:
            assert callable(worker.find_function(entry.writer.function))


def _pretend(monkeypatch, has_bfloat16):
    monkeypatch.setattr(presets, "computes_bfloat16", lambda: has_bfloat16)


def test_emulated_bfloat16_is_measured_only_if_asked_for(monkeypatch):
    _pretend(monkeypatch, False)
    assert {case.dtype for case in LONG.cases()} == {"float32"}
    asked = LONG.cases(dtypes=["bfloat16"], training=[])
    assert {case.dtype for case in asked} == {"bfloat16"}


def test_presets(monkeypatch):
    _pretend(monkeypatch, True)
    short = SHORT.cases()
    assert Case(batch=16, dtype="bfloat16") in short
    assert Case(training=True, batch=16) in short
    assert Case(training=True, batch=16, dtype="bfloat16") not in short
    assert {case.size for case in short} == {224}
    assert SHORT.cases([2], [64], ["float32"], []) == (Case(size=64, batch=2),)
    assert set(short) < set(LONG.cases())
    systems = {entry.name: entry for entry in SHORT.systems()}
    assert "tensorflow-xla" not in systems
    assert systems["swin-jax"].training is False
    assert systems["jax"].training is True
    assert SHORT.systems(["swin-jax"])[0].training is True
    assert LONG.systems() == tuple(SYSTEMS)
    assert dataclasses.replace(SHORT, light=(), left_out=()).systems() == tuple(
        SYSTEMS
    )
