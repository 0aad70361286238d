import dataclasses

import numpy as np
import pytest

from keras_twins.benchmark import Case
from keras_twins.benchmark import ScaleReport
from keras_twins.benchmark import run_scale
from keras_twins.benchmark import scale
from keras_twins.benchmark.plots import draw_resolution
from keras_twins.benchmark.plots import draw_throughput
from keras_twins.benchmark.scale import growth
from tests.benchmark.rows import report
from tests.benchmark.rows import row


def curve(system: str, *seconds: float) -> list:
    rows = []
    for number, value in enumerate(seconds):
        case = Case(size=224 * 2**number)
        peaks = (1_000_000 + 7_000_000 * 4**number,)
        rows.append(row(system, value, case=case, peaks=peaks))
    return rows


def test_growth_is_the_exponent_of_the_pixels():
    linear, quadratic = curve("jax", 1.0, 4.0, 16.0), curve("torch", 1.0, 16.0)
    assert growth(linear, lambda r: r.median) == pytest.approx(1.0)
    assert growth(quadratic, lambda r: r.median) == pytest.approx(2.0)
    assert growth(linear, lambda r: r.memory) == pytest.approx(1.0)


def test_table():
    rows = [*curve("jax", 0.1, 0.4), *curve("torch", 0.2)]
    text = ScaleReport(report(*rows)).table()
    lines = [line.strip("| ").split(" | ") for line in text.splitlines()]
    assert ["Keras on JAX, ms", "100", "400", "1.00"] in lines
    assert ["Keras on JAX, MB", "7", "28", "1.00"] in lines
    assert any(line[:2] == ["Keras on PyTorch, ms", "200"] for line in lines)
    assert "**svt_small, one image, by its side in pixels**" in text


def test_one_image_of_every_size(monkeypatch):
    calls = []

    def run_speed(systems, variants, cases, rounds, **options):
        calls.append((systems, cases, rounds, options))
        return report(row("jax", 1.0))

    monkeypatch.setattr(scale, "run_speed", run_speed)
    found = run_scale(sizes=(64, 128), rounds=2, preload=["early"])
    ((systems, cases, rounds, options),) = calls
    names = [system.name for system in systems]
    assert names == ["tensorflow", "jax", "torch", "timm-eager"]
    assert cases == (Case(size=64), Case(size=128))
    assert (rounds, options["preload"]) == (2, ["early"])
    assert found.speed == report(row("jax", 1.0))


def test_plots(tmp_path):
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    half = Case(batch=16, dtype="bfloat16")
    rows = [
        row("timm-eager", 2.0),
        row("jax", 1.0),
        row("jax", 0.5, case=half),
        row("jax", 3.0, case=dataclasses.replace(half, training=True)),
    ]
    draw_throughput(tmp_path / "throughput.png", report(*rows))
    curves = [*curve("jax", 0.1, 0.4), *curve("timm-eager", 0.2, 1.0)]
    draw_resolution(tmp_path / "resolution.png", ScaleReport(report(*curves)))
    for name in ("throughput", "resolution"):
        with image.open(tmp_path / f"{name}.png") as picture:
            width, height = picture.size
            assert width > 500 and height > 300
            # More than a white page.
            assert np.unique(np.asarray(picture.convert("L"))).size > 20


def test_nothing_to_draw(tmp_path):
    draw_throughput(tmp_path / "throughput.png", report())
    draw_resolution(tmp_path / "resolution.png", ScaleReport(report()))
    assert [*tmp_path.iterdir()] == []
