import dataclasses
import json
import pathlib

import pytest

from keras_twins.export.comparison import Limits
from keras_twins.export.report import ExportReport
from keras_twins.export.report import artifact_bytes

CARD = ExportReport(
    format="litert",
    precision="int8",
    backend="tensorflow",
    path=pathlib.Path("model.tflite"),
    bytes=1_250_000,
    images=32,
    image_source="crops of two photographs",
    limits=Limits(difference=0.1, agreement=0.98),
    max_abs_difference=0.02,
    max_abs_output=0.5,
    top1_agreement=0.96875,
    cosine_similarity=0.9995,
    load_seconds=0.25,
    latency_ms=4.0,
    keras_latency_ms=10.0,
    batch=8,
    throughput=300.0,
    keras_throughput=200.0,
    seconds=12.0,
    problems=("It has the top-1 class of Keras on 96.9%.",),
)


def test_card_in_plain_text():
    lines = [line.split(maxsplit=1) for line in str(CARD).splitlines()]
    assert dict(lines) == {
        "format": "litert, int8",
        "artefact": "model.tflite, 1.25 MB",
        "images": "32 (crops of two photographs)",
        "written": "in   12.0 s",
        "loaded": "in    0.25 s",
        "difference": "2.0e-02 (largest output 0.5; limit 5.0e-02)",
        "cosine": "0.999500",
        "same": "top-1   96.9% (limit 98.0%)",
        "one": "image    4.00 ms; Keras on tensorflow 10.00 ms: 2.50 x",
        "batch": "of 8   300.0 images/s; Keras on tensorflow 200.0 images/s: "
        "1.50 x",
        "verdict": "refused: It has the top-1 class of Keras on 96.9%.",
    }


def test_what_was_not_measured_is_left_out():
    names = ("max_abs_difference", "latency_ms", "throughput", "load_seconds")
    nothing = dict.fromkeys(names)
    card = dataclasses.replace(CARD, **nothing, seconds=None, problems=())
    labels = [line[:13].strip() for line in card.table().splitlines()]
    assert labels == ["format", "artefact", "images", "verdict"]
    assert card.accepted and card.table().endswith("accepted")
    assert card.latency_ratio is None and card.throughput_ratio is None


def test_json_has_no_nan(tmp_path):
    path = tmp_path / "new" / "card.json"
    card = dataclasses.replace(CARD, max_abs_difference=float("nan"))
    card.write(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["card.json"]

    def refuse(constant):
        raise ValueError(constant)

    content = json.loads(path.read_text(), parse_constant=refuse)
    assert content["max_abs_difference"] is None
    assert content["limits"]["agreement"] == 0.98
    assert content["accepted"] is False
    assert content["latency_ratio"] == 2.5
    assert content["path"] == "model.tflite"
    fields = {field.name for field in dataclasses.fields(CARD)}
    assert fields < set(content)


@pytest.mark.parametrize("folder", [False, True])
def test_artifact_bytes(tmp_path, folder):
    path = tmp_path / "artifact"
    if folder:
        (path / "variables").mkdir(parents=True)
        (path / "variables" / "data").write_bytes(b"12345")
        (path / "saved_model.pb").write_bytes(b"123")
        assert artifact_bytes(path) == 8
    else:
        path.write_bytes(b"1234")
        assert artifact_bytes(path) == 4
