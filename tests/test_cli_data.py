import json

import pytest

from keras_twins.cli import main
from tests.data.classification.image_files import write_set

pytest.importorskip("tensorflow")


def bench(tmp_path, *options):
    command = ["bench", "data", "--out", str(tmp_path / "out"), *options]
    return main([*command, "--seconds", "0.2", "--image-size", "16"])


@pytest.mark.parametrize("augmentation", ["imagenet", "light", "none"])
def test_bench_data(tmp_path, capsys, augmentation):
    write_set(tmp_path)
    options = ["--data", str(tmp_path), "--batch-size", "4"]
    assert bench(tmp_path, *options, "--augmentation", augmentation) == 0
    table = capsys.readouterr().out
    header, line, _ = table.strip().splitlines()[:3]
    assert "images/s" in header and "waiting" not in header
    assert set(line) == set("| -")
    results = json.loads((tmp_path / "out" / "bench.json").read_text())
    part = results["parts"]["data"]
    assert part["augmentation"] == augmentation
    assert part["images_per_second"] > 0
    assert part["step_time"] is None


def test_bench_data_beside_a_step(tmp_path, capsys):
    write_set(tmp_path)
    options = ["--data", str(tmp_path), "--batch-size", "4"]
    light = ["--augmentation", "light"]
    assert bench(tmp_path, *options, *light, "--step-time", "0.05") == 0
    assert "| 50 ms |" in capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "bench.json").read_text())
    part = results["parts"]["data"]
    assert part["step_seconds"] == pytest.approx(
        part["seconds"] * (1 - part["waiting_share"])
    )


def test_bench_data_without_a_set(tmp_path, capsys):
    assert bench(tmp_path) == 1
    assert "--data digits" in capsys.readouterr().err
    assert bench(tmp_path, "--data", str(tmp_path / "absent")) == 1
    assert "There is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        bench(tmp_path, "--step-time", "soon")
    assert "positive number of seconds" in capsys.readouterr().err


def test_bench_data_of_a_broken_file(tmp_path, capsys):
    write_set(tmp_path)
    (path,) = tmp_path.glob("train/*/04.png")
    path.write_bytes(b"no image")
    options = ["--data", str(tmp_path), "--batch-size", "11"]
    assert bench(tmp_path, *options, "--augmentation", "light") == 1
    error = capsys.readouterr().err
    assert f"{path} cannot be decoded" in error
    assert error.count("\n") == 1
