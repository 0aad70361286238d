import json

import keras
import numpy as np
import pytest

import keras_twins
from tests import tiny
from tests.compiling import slow_but_on
from weights_port import exports
from weights_port.cli import main
from weights_port.export_table import format_tables

# The commands are the same on every backend, what they call is tested apart.
pytestmark = slow_but_on("tensorflow")

CARD = {
    "model": "digits",
    "format": "litert",
    "precision": "float32",
    "backend": "tensorflow",
    "bytes": 2_000_000,
    "load_seconds": 0.5,
    "latency_ms": 2.0,
    "latency_ratio": 3.0,
    "throughput": 900.0,
    "throughput_ratio": 0.5,
    "max_abs_difference": 0.001,
    "max_abs_output": 0.5,
    "top1_agreement": 1.0,
    "cosine_similarity": 0.999999,
    "problems": [],
}
INT8 = CARD | {"precision": "int8", "bytes": 500_000, "top1_agreement": 0.9875}


def test_tables():
    failed = {key: CARD[key] for key in ("model", "format", "backend")} | {
        "precision": "float16",
        "problems": ["No room."],
    }
    random = CARD | {"model": "svt_small"}
    quantized = INT8 | {"format": "keras", "backend": "jax"}
    base = CARD | {"format": "keras", "backend": "jax"}
    rows = [CARD, INT8, failed, random, quantized, base]
    table = format_tables({"rows": rows, "note": "On a machine."})
    numbers = "2.0 (3.00 x) | 900.0 (0.50 x)"
    lines = table.splitlines()
    assert lines[2] == (
        "| Twins-SVT-S, 224 | litert | float32 | 2.00 | 1.00 | 0.50 | "
        f"{numbers} | 2e-03 |  |"
    )
    assert lines[4] == (
        f"| digits, 32 | litert | int8 | 0.50 | 0.25 | 0.50 | {numbers} | "
        "2e-03 | 98.8% |"
    )
    assert lines[5].startswith("| digits, 32 | litert | float16 | not written")
    assert {line.count("|") for line in lines[:6]} == {11}
    assert "- digits, 32, litert float16: No room." in lines
    start = "| digits, 32 | JAX | int8 | 0.50 | 0.25 |"
    assert f"{start} {numbers} | 1.00000 | 98.8% |" in lines
    assert lines[-1] == "On a machine."


def test_no_cards(tmp_path, capsys):
    cards = tmp_path / "export.json"
    cards.write_text('{"rows": [], "signature": ""}')
    assert main(["export-table", "--cards", str(cards)]) == 1
    assert "export-cards" in capsys.readouterr().err


def test_rows_are_merged_and_written_into_the_readme(tmp_path):
    cards, readme = tmp_path / "new" / "export.json", tmp_path / "README.md"
    exports.merge_rows(cards, [CARD, INT8])
    faster = INT8 | {"latency_ms": 1.0}
    exports.merge_rows(cards, [faster], note="Once.", signature="inputs")
    assert json.loads(cards.read_text())["rows"] == [CARD, faster]
    readme.write_text(
        "<!-- export:begin -->\nold\n<!-- export:end -->\n"
        "<!-- signature:begin -->\n<!-- signature:end -->\n"
    )
    command = ["export-table", "--cards", str(cards), "--readme", str(readme)]
    assert main(command) == 0
    text = readme.read_text()
    assert "| 1.0 (3.00 x) |" in text and "old" not in text
    assert "```\ninputs\n```\n<!-- signature:end -->" in text


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="test_quantization.py has the other backends",
)
@pytest.mark.slow
def test_cards_of_a_model(monkeypatch):
    monkeypatch.setattr(exports, "QUANTIZED", ("int8",))
    images = 60 * np.abs(tiny.images(9, 64, 64, 3))
    subject = exports.Subject(build_tiny, (images[1:], images[:1]))
    rows = list(exports.measure_exports(subject, ["keras"]))
    full, small = rows
    assert (full["precision"], small["precision"]) == ("float32", "int8")
    assert full["max_abs_difference"] < 1e-6
    assert 0.9 < small["cosine_similarity"] < 1
    assert small["bytes"] < full["bytes"]
    for row in rows:
        assert row["latency_ms"] > 0 and not row["problems"]
        assert row["backend"] == keras.backend.backend()
        assert row["images"] == 8


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_cannot_be_written_is_a_row_too(monkeypatch):
    def refuse(model, **options):
        if options["precision"] == "int8":
            raise ImportError("pip install it")
        raise ValueError("No room.\nNone at all.")

    monkeypatch.setattr(exports, "export_model", refuse)
    subject = exports.Subject(build_tiny)
    rows = list(exports.measure_exports(subject, ["litert"]))
    assert {row["precision"]: row["problems"] for row in rows} == {
        "float32": ["No room. None at all."],
        "float16": ["No room. None at all."],
        "dynamic_int8": ["No room. None at all."],
        "int8": ["pip install it"],
    }


def build_tiny() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras_twins.classifier(
        tiny.MINIMAL, input_shape=(64, 64, 3), classes=5
    )
    tiny.randomise(model)
    return model
