import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_twins import benchmark
from keras_twins.benchmark import Case
from keras_twins.benchmark import DetectionReport
from keras_twins.benchmark import detection
from keras_twins.benchmark import run_detection
from keras_twins.benchmark.detection_systems import DETECTORS
from keras_twins.benchmark.detection_systems import OPERATORS
from keras_twins.benchmark.detection_systems import all_systems
from keras_twins.benchmark.detection_systems import detection_systems
from keras_twins.benchmark.plan import Failure
from keras_twins.benchmark.targets import DETECTION_TARGETS
from keras_twins.benchmark.targets import judge
from keras_twins.cli import main
from tests.benchmark.rows import report
from tests.benchmark.rows import row

FORWARD = Case(size=512)
TRAINING = Case(size=512, batch=2, training=True)
GRADIENT = Case(size=512, training=True)
FAILURE = Failure(
    variant="svt_small",
    system="torchvision",
    what="svt_small inference 512, float32",
    reason="RuntimeError: no operators",
)
ROWS = (
    row("timm-backbone", 0.12, case=FORWARD),
    row("pytorch", 1.0, case=FORWARD),
    row("jax", 0.5, case=FORWARD),
    # Of two images.
    row("timm-backbone", 0.24, case=TRAINING, group=1),
    row("pytorch", 4.0, case=TRAINING, group=1),
    row("jax", 5.0, case=TRAINING, group=1, peaks=(3_000_000,)),
)


@pytest.fixture
def calls(monkeypatch):
    """Measures nothing, and notes what should be measured."""
    noted = []

    def run_speed(systems, variants, cases, rounds, **options):
        names = [system.name for system in systems]
        noted.append((names, cases, rounds))
        references = tuple(x.name for x in systems if x.reference)
        rows = tuple(x for x in ROWS if x.system in names)
        return dataclasses.replace(report(*rows), references=references)

    monkeypatch.setattr(detection, "run_speed", run_speed)
    return noted


def test_detectors_against_their_peers(calls):
    found = run_detection(["retinanet", "mask_rcnn"], systems=["jax"])
    assert calls == [
        (["timm-backbone", "pytorch", "jax"], (FORWARD, TRAINING), 3),
        (["timm-backbone", "jax"], (FORWARD, TRAINING), 3),
    ]
    text = found.table()
    retinanet, mask_rcnn = text.split("**Mask R-CNN on svt_small**")
    assert "| Keras on JAX | 0.50 (2.00) | 5.00 (0.80) | 3 |" in retinanet
    # Half of what the backbone took there: half of what it took.
    recorded = "| mmdetection, recorded elsewhere, scaled by timm's backbone"
    assert f"{recorded} | 0.40 | 1.75 | 3000 |" in without_ratios(retinanet)
    assert f"{recorded} | 0.46 (1.00) | 2.60 (1.00) | 3000 |" in mask_rcnn
    # That is what Mask R-CNN is compared with.
    assert "| Keras on JAX | 0.50 (0.91) | 5.00 (0.52) | 3 |" in mask_rcnn
    assert text.count("Beads were moved.") == 1


def without_ratios(text: str) -> str:
    """Returns a table without what stands in brackets."""
    cells = (cell.partition(" (")[0] for cell in text.split(" |"))
    return " |".join(cells)


def test_targets(calls):
    found = run_detection(["retinanet"], systems=["jax"])
    verdicts = {
        (x.target.title, x.target.case): (x.ratio, x.met)
        for x in judge(found.parts["retinanet"], DETECTION_TARGETS)
    }
    assert verdicts == {
        ("best of ours", FORWARD): (2.0, True),
        ("JAX", FORWARD): (2.0, True),
        ("best of ours", TRAINING): (0.8, False),
        ("JAX", TRAINING): (0.8, True),
    }
    assert "RetinaNet, targets:\n\n| target |" in found.table()
    names = {x.name for head in DETECTORS for x in all_systems(head)}
    assert all(set(target.systems) <= names for target in DETECTION_TARGETS)


def test_recorded_times_are_of_one_variant_and_size(monkeypatch):
    rows = (
        row("timm-backbone", 0.1, case=Case(size=256)),
        row("timm-backbone", 0.1, case=FORWARD, variant="svt_base"),
        row("timm-backbone", 0.1, case=FORWARD, device="cuda"),
    )
    monkeypatch.setattr(detection, "run_speed", lambda *_, **__: report(*rows))
    assert run_detection(["mask_rcnn"]).parts["mask_rcnn"].rows == rows


def test_operators_in_milliseconds():
    rows = (
        row("torchvision", 0.02, case=FORWARD),
        row("jax", 0.01, case=FORWARD),
        row("jax", 0.0304, case=GRADIENT),
    )
    speed = dataclasses.replace(report(*rows), references=("torchvision",))
    select = report(row("pytorch", 0.005, case=FORWARD), failures=(FAILURE,))
    text = DetectionReport({"pool_regions": speed, "select": select}).table()
    assert "| torchvision |  |  | 20.0 (1.00) |  |" in text
    assert "| Keras on JAX |  |  | 10.0 (2.00) | 30.4 |" in text
    assert "| a loop in PyTorch | 5.0 |  |  |  |" in text
    assert (
        "Suppression by class, not measured:\n\n- torchvision: RuntimeError: "
        "no operators (svt_small inference 512, float32)"
    ) in text


def test_table_from_a_file(tmp_path):
    speed = report(row("jax", 0.5, case=FORWARD), failures=(FAILURE,))
    found = DetectionReport({"mask_rcnn": speed, "select": speed})
    part = benchmark.Part(found.to_dict(), "an old table")
    benchmark.write_results(tmp_path, {"detection": part})
    content = json.loads((tmp_path / "bench.json").read_text())["parts"]
    assert DetectionReport.from_dict(content["detection"]) == found


@pytest.mark.parametrize("part", [*DETECTORS, *OPERATORS])
def test_systems(part):
    systems = {system.name: system for system in all_systems(part)}
    assert {"tensorflow", "jax", "torch"} <= set(systems)
    assert len(systems) == len(all_systems(part))
    labels = {system.label for system in systems.values()}
    assert len(labels) == len(systems)
    # A step that trains: of operators, RoIAlign alone.
    trained = part in DETECTORS or part == "pool_regions"
    assert systems["jax"].training is trained


def test_parts_without_what_is_asked_for_are_left_out(calls):
    run_detection(systems=["keras-hub-jax"])
    ((names, _, _),) = calls
    assert names == ["timm-backbone", "pytorch", "keras-hub-jax"]
    short = detection_systems("select", benchmark.SHORT.detection)
    assert [x.name for x in short] == [
        *("pytorch", "torchvision", "tensorflow", "jax", "torch"),
    ]


def test_unknown_names(calls):
    with pytest.raises(ValueError, match="`parts` must hold some of"):
        run_detection(["yolo"])
    with pytest.raises(ValueError, match="`systems` must hold.*'jaxx'"):
        run_detection(systems=["jax", "jaxx"])
    assert calls == []


def test_command(tmp_path, monkeypatch, capsys):
    asked = {}

    def note(**options):
        asked.update(options)
        return DetectionReport({"retinanet": report(*ROWS)})

    monkeypatch.setattr(benchmark, "run_detection", note)
    command = ["bench", "detection", "--short", "--sizes", "128"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert "**RetinaNet on svt_small**" in capsys.readouterr().out
    assert asked["sizes"] == [128]
    assert asked["systems"] == benchmark.SHORT.detection
    assert main(["bench", "detection", "--systems", "openvino"]) == 1
    message = capsys.readouterr().err
    assert "`bench detection`: `systems` must hold" in message
    assert "'keras-hub-jax'" in message


def test_batches_have_boxes_within_the_image():
    from keras_twins.benchmark.detection_inputs import training_batch
    from keras_twins.benchmark.task import Task

    task = Task(variant="tiny", config={}, size=48)
    batch = training_batch(task, 2, masks=True)
    boxes = batch["boxes"]
    assert boxes.min() >= 0 and boxes.max() <= 48
    assert (boxes[..., 2:] - boxes[..., :2] > 1).all()
    # Of a mask, all of its box.
    areas = np.ceil(boxes[..., 2:]) - np.ceil(boxes[..., :2])
    np.testing.assert_array_equal(batch["masks"].sum((2, 3)), areas.prod(-1))


def test_our_operators():
    from keras_twins.benchmark.detection_operators import build_keras
    from keras_twins.benchmark.task import Task

    task = Task(variant="tiny", config={}, size=32)
    for operator in OPERATORS:
        program = build_keras(task, operator, count=20)
        step = program.prepare(1)
        program.wait(step())
    # The last one pools from maps of 8, 4, 2 and 1 cells.
    assert program.parameters == (64 + 16 + 4 + 1) * 256
    found = result(step())
    assert found.shape == (1, 20, 7, 7, 256)
    assert np.isfinite(found).all() and found.any()


def result(output) -> np.ndarray:
    """Returns what a step of `predict` computed, without JAX' state."""
    output = output[0] if isinstance(output, tuple) else output
    return keras.ops.convert_to_numpy(output)


def test_maps_have_a_gradient():
    from keras_twins.benchmark.detection_operators import build_keras
    from keras_twins.benchmark.task import Task

    task = Task(variant="tiny", config={}, size=32, training=True)
    program = build_keras(task, "pool_regions", count=20)
    step = program.prepare(1)
    first, last = (float(step()["loss"]) for _ in range(2))
    assert 0 < last < first
