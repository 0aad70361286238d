import dataclasses
import json

import pytest

from keras_twins.benchmark import Case
from keras_twins.benchmark import Part
from keras_twins.benchmark import SpeedReport
from keras_twins.benchmark import format_speed
from keras_twins.benchmark import write_results
from keras_twins.benchmark.plan import Failure
from keras_twins.benchmark.results import read_parts
from keras_twins.benchmark.targets import TARGETS
from keras_twins.benchmark.targets import judge
from tests.benchmark.rows import report
from tests.benchmark.rows import row

BFLOAT16 = Case(batch=16, dtype="bfloat16")


def cells(markdown: str, label: str) -> list[str]:
    (line,) = (
        line for line in markdown.splitlines() if line.startswith(f"| {label}")
    )
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_medians_of_the_rounds():
    ours = row("jax", 1.0, 2.0, 4.0)
    eager = row("timm-eager", 3.0, 5.0, 6.0)
    # Faster in the first round only: the reference is chosen by its median.
    compiled = row("timm-compile", 1.0, 9.0, 9.0)
    found = report(ours, eager, compiled)
    assert found.ratios(ours) == (3.0, 2.5, 1.5)
    assert found.ratio(ours) == 2.5
    assert found.ratio(eager) == 1.0
    assert found.ratio(compiled) == pytest.approx(6 / 9)
    assert ours.throughput == 8.0


def test_ratios_stay_within_a_group_and_a_case():
    ours = row("jax", 1.0)
    others = [
        row("timm-eager", 5.0, group=1),
        row("timm-eager", 5.0, case=Case(batch=1)),
        row("timm-eager", 5.0, variant="pcpvt_small"),
        row("timm-eager", 5.0, case=BFLOAT16),
    ]
    assert report(ours, *others).ratio(ours) is None
    half = row("jax", 1.0, case=BFLOAT16)
    found = report(half, *others, row("timm-eager", 3.0))
    assert found.ratio(half) == 3.0
    assert found.ratio(half, "bfloat16") == 5.0


def test_targets_are_judged_by_the_best_system():
    rows = [
        row("timm-eager", 3.0),
        row("tensorflow", 2.6),
        row("tensorflow-xla", 2.0),
        row("jax", 3.0),
        row("openvino", 1.0, case=BFLOAT16),
    ]
    verdicts = {
        (verdict.target.title, verdict.target.case): verdict
        for verdict in judge(report(*rows))
    }
    assert set(verdicts) == {
        ("TensorFlow", Case(batch=16)),
        ("JAX", Case(batch=16)),
        ("best of ours", BFLOAT16),
    }
    tensorflow = verdicts["TensorFlow", Case(batch=16)]
    assert (tensorflow.system, tensorflow.ratio) == ("tensorflow-xla", 1.5)
    assert tensorflow.met is True
    assert verdicts["JAX", Case(batch=16)].met is False
    assert verdicts["best of ours", BFLOAT16].ratio == 3.0


def test_accelerators_have_targets_of_their_own():
    case = Case(batch=128, dtype="bfloat16")
    rows = [
        row("timm-compile", 1.0, case=case, device="cuda"),
        row("jax", 0.5, case=case, device="cuda"),
        row("timm-eager", 3.0, device="cuda"),
        row("jax", 1.0, device="cuda"),
    ]
    (verdict,) = judge(report(*rows))
    assert verdict.target.accelerator
    assert (verdict.target.case, verdict.ratio) == (case, 2.0)


def test_targets_name_systems_that_exist():
    # An empty group of systems could never be met.
    assert all(target.systems for target in TARGETS)
    assert {target.minimum for target in TARGETS} == {
        *(1.0, 1.2, 1.25, 1.4, 1.7, 2.0)
    }


def test_markdown():
    failure = Failure(
        variant="svt_small", system="mit-jax", what="x", reason="no keras_hub"
    )
    found = report(
        row("timm-eager", 2.0, 4.0),
        row("jax", 1.0, 1.0),
        row("jax", 0.5, 0.5, case=BFLOAT16),
        row("timm-eager", 4.0, 4.0, group=1),
        row("jax", 0.01, 0.01, case=Case(batch=1)),
        failures=(failure, failure),
    )
    text = format_speed(found)
    assert "**svt_small, inference, 224 x 224**" in text
    # Groups are taken together: 2, 4, 4 and 4 seconds for 16 images.
    assert cells(text, "timm ")[2:] == ["", "4.0 (1.00)", "3 (1)"]
    jax, half = "Keras on JAX | float32", "Keras on JAX | bfloat16"
    assert cells(text, jax)[2:4] == ["100.0", "16.0 (3.00)"]
    assert cells(text, half)[3] == "32.0 (6.00)"
    assert cells(text, "JAX")[-3:] == ["1.40", "3.00", "yes"]
    assert "- KerasHub MiT-B2, Keras on JAX: no keras_hub (x)\n" in text
    assert "Beads were moved." in text
    assert text.endswith("Measured with processor abacus, cores 2, keras 3.")


def test_json_and_markdown_of_all_parts(tmp_path):
    found = report(row("timm-eager", 2.0), row("jax", 1.0))
    speed = Part(found.to_dict(), "speed table")
    folder = tmp_path / "new"
    assert write_results(folder, {"speed": speed}) == "speed table"
    costs = Part({"rows": []}, "import table")
    # What another run wrote stays.
    text = write_results(folder, {"import": costs})
    assert text == "speed table\n\nimport table"
    assert (folder / "bench.md").read_text() == text + "\n"
    content = json.loads((folder / "bench.json").read_text())
    assert content["markdown"] == text
    written = content["parts"]["speed"]
    assert SpeedReport.from_dict(written) == found
    assert written["rows"][1]["ratio"] == 2.0
    assert sorted(x.name for x in folder.iterdir()) == [
        "bench.json",
        "bench.md",
    ]


def test_another_file_is_not_overwritten(tmp_path):
    path = tmp_path / "bench.json"
    assert read_parts(path) == {}
    path.write_text('{"rows": []}')
    with pytest.raises(ValueError, match="is not a file that a benchmark"):
        write_results(tmp_path, {})
    assert path.read_text() == '{"rows": []}'


def test_memory_is_beyond_the_empty_worker():
    found = row("jax", 1.0, 1.0, 1.0)
    found = dataclasses.replace(found, peaks=(5, 9, 6), base=2)
    assert (found.peak, found.memory) == (6, 4)
