import dataclasses
import json

import pytest

from keras_twins import benchmark
from keras_twins.benchmark import Case
from keras_twins.benchmark import SegmentationReport
from keras_twins.benchmark import run_segmentation
from keras_twins.benchmark import segmentation
from keras_twins.benchmark.plan import Failure
from keras_twins.benchmark.segmentation import segmentation_systems
from keras_twins.benchmark.task import Task
from keras_twins.cli import main
from tests.benchmark.rows import report
from tests.benchmark.rows import row
from tests.compiling import slow_but_on
from tests.tiny import MINIMAL

FORWARD = Case(size=512)
TRAINING = Case(size=512, batch=2, training=True)
FAILURE = Failure(
    variant="svt_small",
    system="pytorch",
    what="svt_small inference 512, float32",
    reason="not installed: timm",
)


def test_each_head_against_plain_pytorch(monkeypatch):
    calls = []

    def run_speed(systems, variants, cases, rounds, **options):
        calls.append([system.name for system in systems])
        rows = (
            row("pytorch", 1.0, case=FORWARD),
            row("jax", 0.5, case=FORWARD),
            row("pytorch", 4.0, case=TRAINING),
            row("jax", 5.0, case=TRAINING, peaks=(3_000_000,)),
        )
        return dataclasses.replace(report(*rows), references=("pytorch",))

    monkeypatch.setattr(segmentation, "run_speed", run_speed)
    found = run_segmentation(systems=["jax"])
    assert calls == [["pytorch", "jax"]] * 2
    text = found.table()
    assert "**Semantic FPN on svt_small**" in text
    assert "**UPerNet on svt_small**" in text
    assert "| Keras on JAX | 0.50 (2.00) | 5.00 (0.80) | 3 |" in text
    # That of both heads is the same.
    assert text.count("Beads were moved.") == 1
    assert "not measured" not in text
    with pytest.raises(ValueError, match="`heads` must hold some of"):
        run_segmentation(["deeplab"])
    with pytest.raises(ValueError, match="`systems` must hold.*'jaxx'"):
        run_segmentation(systems=["jax", "jaxx"])
    assert len(calls) == 2


def test_what_could_not_be_measured():
    rows = [row("jax", 0.5, case=FORWARD)]
    heads = {
        "semantic_fpn": report(*rows, failures=(FAILURE,)),
        "upernet": report(failures=(FAILURE,)),
    }
    text = SegmentationReport(heads).table()
    assert "| Keras on JAX | 0.50 |  |  |" in text
    line = "- timm and PyTorch: not installed: timm (svt_small inference 512"
    for title in ("Semantic FPN", "UPerNet"):
        assert f"{title}, not measured:\n\n{line}" in text


def test_table_from_a_file(tmp_path):
    speed = report(row("jax", 0.5, case=FORWARD), failures=(FAILURE,))
    found = SegmentationReport({"upernet": speed})
    part = benchmark.Part(found.to_dict(), "an old table")
    benchmark.write_results(tmp_path, {"segmentation": part})
    content = json.loads((tmp_path / "bench.json").read_text())["parts"]
    assert SegmentationReport.from_dict(content["segmentation"]) == found


def test_systems():
    systems = {
        system.name: system for system in segmentation_systems("upernet")
    }
    assert len({system.label for system in systems.values()}) == len(systems)
    assert [x.name for x in systems.values() if x.reference] == ["pytorch"]
    assert {"tensorflow", "jax", "torch"} <= set(systems)
    again = systems["jax-checkpointing"].options
    assert again == {"head": "upernet", "gradient_checkpointing": True}
    compiled = systems["pytorch-compile"].options
    assert compiled == {"head": "upernet", "compiled": True}
    peers = segmentation_systems("upernet", ["timm"])
    assert [x.name for x in peers] == ["pytorch", "pytorch-compile"]


def test_names_are_checked_before_anything_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "run_speed", None)
    command = ["bench", "speed", "segmentation", "--systems", "openvino"]
    assert main(command) == 1
    message = capsys.readouterr().err
    assert "`bench segmentation`: `systems` must hold" in message
    assert "'pytorch-compile'" in message


@slow_but_on("torch")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("head", ["semantic_fpn", "upernet"])
def test_our_program(head, training):
    from keras_twins.benchmark.segmentation_models import build_keras

    task = Task(
        variant="tiny", config=MINIMAL.to_dict(), size=64, training=training
    )
    program = build_keras(task, head)
    step = program.prepare(1)
    program.wait(step())
    assert program.parameters > 1_000_000
