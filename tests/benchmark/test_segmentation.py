import dataclasses

import pytest

from keras_twins.benchmark import Case
from keras_twins.benchmark import run_segmentation
from keras_twins.benchmark import segmentation
from keras_twins.benchmark.segmentation import segmentation_systems
from keras_twins.benchmark.task import Task
from tests.benchmark.rows import report
from tests.benchmark.rows import row
from tests.tiny import SHALLOW

FORWARD = Case(size=512)
TRAINING = Case(size=512, batch=2, training=True)


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
    assert "| jax | 0.50 (2.00) | 5.00 (0.80) | 3 |" in text
    assert set(found.to_dict()) == {"semantic_fpn", "upernet"}
    with pytest.raises(ValueError, match="`heads` must hold some of"):
        run_segmentation(["deeplab"])


def test_systems():
    systems = {
        system.name: system for system in segmentation_systems("upernet")
    }
    assert systems["pytorch"].reference
    assert {"tensorflow", "jax", "torch"} <= set(systems)
    again = systems["jax-checkpointing"].options
    assert again == {"head": "upernet", "gradient_checkpointing": True}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("head", ["semantic_fpn", "upernet"])
def test_our_program(head, training):
    from keras_twins.benchmark.segmentation_models import build_keras

    task = Task(
        variant="tiny", config=SHALLOW.to_dict(), size=64, training=training
    )
    program = build_keras(task, head)
    step = program.prepare(1)
    program.wait(step())
    assert program.parameters > 1_000_000
