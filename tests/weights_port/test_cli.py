import json

import pytest

from keras_twins import VARIANTS
from tests import tiny
from tests.compiling import slow_but_on
from tests.weights_port.files import official_state
from tests.weights_port.files import write_safetensors
from tests.weights_port.files import write_torch
from weights_port.cli import main
from weights_port.parity import ParityRow
from weights_port.parity import merge_rows

# The commands are the same on every backend, what they call is tested apart.
pytestmark = slow_but_on("tensorflow")


def test_a_real_variant_from_convert_to_export(tmp_path, capsys):
    pytest.importorskip("torch")
    source = tmp_path / "svt.pth"
    ported, back = tmp_path / "svt.weights.h5", tmp_path / "svt.safetensors"
    state = official_state(VARIANTS["svt_small"], classes=1000)
    write_torch(source, {"model": state})
    assert main(["convert", str(source), str(ported)]) == 0
    report = capsys.readouterr().out
    assert "official names, twins svt_small, wrapper: model" in report
    assert "parameters: 24,060,776" in report
    assert main(["verify", str(source), str(ported)]) == 0
    report = capsys.readouterr().out
    # Where timm is installed, verify fails unless its logits agree.
    compared = "outputs against timm's model" in report
    assert compared or "timm cannot be imported" in report
    assert main(["export", str(ported), str(back)]) == 0
    capsys.readouterr()
    found = {}
    for path in (source, back):
        assert main(["inspect", str(path), "--json"]) == 0
        found[path] = json.loads(capsys.readouterr().out)
    assert found[source]["content_sha256"] == found[back]["content_sha256"]
    assert found[back]["variant"] == "svt_small"


def test_problems_give_exit_code_1(tmp_path, capsys):
    path = tmp_path / "tiny.safetensors"
    write_safetensors(path, official_state(tiny.SVT))
    out = str(tmp_path / "out.weights.h5")
    for command in (
        ["convert", str(path), out],
        ["convert", str(tmp_path / "missing"), out],
        ["convert", str(path), str(tmp_path / "out.txt")],
        ["export", str(path), str(tmp_path / "out.safetensors")],
        ["verify", str(path), out],
        ["inspect", str(tmp_path / "missing")],
        ["parity", "--golden", str(tmp_path)],
    ):
        assert main(command) == 1
        output = capsys.readouterr()
        assert output.err.startswith("weights_port: ")
        assert "Traceback" not in output.err
        assert output.out == ""


def test_inspect_reports_what_it_found(tmp_path, capsys):
    path = tmp_path / "tiny.safetensors"
    write_safetensors(path, official_state(tiny.SVT))
    assert main(["inspect", str(path)]) == 1
    output = capsys.readouterr().out
    assert "container: safetensors" in output and "problems: 1" in output
    assert main(["inspect", str(path), "--variant", "svt_small"]) == 1
    assert "expected the shape (64,), got (8,)" in capsys.readouterr().out


def test_parity_table_reads_rows(tmp_path, capsys):
    rows, readme = tmp_path / "rows.json", tmp_path / "README.md"
    row = ParityRow("jax", "timm", "svt_base", "224x224", "logits", 1e-6, 1e-6)
    merge_rows(rows, [row, row._replace(output="stage1")])
    readme.write_text("<!-- parity:begin -->\n<!-- parity:end -->\n")
    command = ["parity-table", "--rows", str(rows), "--readme", str(readme)]
    assert main(command) == 0
    assert "| svt_base | timm |" in readme.read_text()


@pytest.mark.parametrize(
    "command", [[], ["port"], ["convert", "a"], ["inspect", "--xml", "a"]]
)
def test_wrong_usage_is_explained(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err
