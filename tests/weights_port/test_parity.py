import keras
import numpy as np
import pytest

from tests.weights_port.files import GOLDEN
from tests.weights_port.files import manifest
from weights_port import to_official
from weights_port.golden import rule_image
from weights_port.golden import rule_state
from weights_port.models import Parts
from weights_port.models import build_model
from weights_port.models import fill_model
from weights_port.parity import ParityRow
from weights_port.parity import compare_output
from weights_port.parity import measure_parity
from weights_port.parity import merge_rows
from weights_port.parity import read_rows
from weights_port.parity_table import format_table
from weights_port.readme import write_section

BEGIN, END = "<!-- parity:begin -->", "<!-- parity:end -->"

ROW = ParityRow("jax", "timm", "svt_small", "224x224", "logits", 2e-6, 3e-6)
STAGE = ROW._replace(output="stage2", relative=4e-6)


def test_a_stored_part_is_every_step_th_number_channels_first():
    full = np.arange(2 * 3 * 4 * 5, dtype="float32").reshape(2, 3, 4, 5)
    output = {"name": "stage1", "shape": [2, 3, 4, 5], "step": 7}
    found = full.transpose(0, 2, 3, 1).copy()
    assert compare_output(found, output, full.reshape(-1)[::7]) == 0
    found[1, 3, 4, 2] += 100  # number 119 = 17 * 7
    assert compare_output(found, output, full.reshape(-1)[::7]) == 100
    with pytest.raises(ValueError, match=r"'stage1' must have the shape"):
        compare_output(found[:1], output, full.reshape(-1)[::7])
    found[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"'stage1' .* not finite"):
        compare_output(found, output, full.reshape(-1)[::7])


def test_rows_of_several_runs_are_merged(tmp_path):
    path = tmp_path / "results" / "parity.json"
    assert read_rows(path) == []
    assert merge_rows(path, [ROW, STAGE]) == 2
    again = ROW._replace(relative=5e-6)
    other = ROW._replace(backend="torch")
    assert merge_rows(path, [again, other]) == 3
    assert set(read_rows(path)) == {again, STAGE, other}


def test_the_table_holds_the_worst_of_each_backend():
    rows = [ROW, STAGE, STAGE._replace(output="stage4_norm", relative=7e-6)]
    rows.append(ROW._replace(size="256x192", relative=1e-6))
    rows += [row._replace(backend="torch", relative=1e-7) for row in rows]
    lines = format_table(rows).splitlines()
    assert lines[0] == "| variant | source | sizes | JAX | PyTorch |"
    assert lines[2:] == [
        "| svt_small | timm | 2 | 3.0e-06 / 7.0e-06 | 1.0e-07 / 1.0e-07 |"
    ]


def test_the_table_is_written_between_its_marks(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nend\n")
    for _ in range(2):
        write_section(readme, "parity", format_table([ROW, STAGE]))
    table = format_table([ROW, STAGE])
    expected = f"# Title\n\n{BEGIN}\n{table}\n{END}\n\nend\n"
    assert readme.read_text() == expected
    for text in ("# Title\n", f"{END}\n{BEGIN}\n"):
        readme.write_text(text)
        with pytest.raises(ValueError, match="must hold the lines"):
            write_section(readme, "parity", format_table([ROW, STAGE]))
        assert readme.read_text() == text
    with pytest.raises(ValueError, match="no parity rows"):
        format_table([])


def test_the_packed_attention_of_mmsegmentation_is_as_the_original():
    probe = manifest("eps_probe_openmmlab")
    name = "mmseg_backbone_pcpvt_small"
    original = to_official(rule_state(probe["models"][name]))
    backbone = build_model(original.config, Parts.of(original))
    fill_model(backbone, original.config, original.state)
    levels = list(backbone.pyramid_outputs.values())
    model = keras.Model(backbone.input, levels)
    case = next(c for c in probe["cases"] if c["model"] == name)
    images = rule_image(case["seed"], case["input_shape"])
    found = model.predict_on_batch(images)
    with np.load(GOLDEN / probe["file"]) as arrays:
        for values, output in zip(found, case["outputs"], strict=True):
            expected = arrays[output["npz_key"]]
            difference = compare_output(values, output, expected)
            assert difference / output["std"] < 2e-5, output["name"]


def test_a_real_model_is_as_the_original(backend):
    rows = list(measure_parity(GOLDEN, ["official"], ["svt_small"]))
    outputs = [row.output for row in rows]
    assert outputs == ["logits", "pooled", *(f"stage{i}" for i in (1, 2, 3, 4))]
    for row in rows:
        assert row.backend == backend
        assert row.relative < 2e-5, row
