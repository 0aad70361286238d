"""Training on growing numbers of devices, measured."""

import json

import keras
import pytest

from keras_twins.benchmark import scaling
from keras_twins.benchmark.scaling import ScalingRow
from keras_twins.benchmark.scaling import run_scaling


def measured(monkeypatch, shared=False):
    """Runs with steps of a second on one device and 0.6 on two."""

    def measure(backend, devices, case):
        if devices == 4:
            raise ChildProcessError("there are 2 devices")
        seconds = {1: 1.0, 2: 0.6}[devices] * case["batch"] / 8
        return {"seconds": [seconds, seconds, 9.0], "shared": shared}

    monkeypatch.setattr(scaling, "_measure", measure)
    return run_scaling((1, 2, 4), batch=8, progress=lambda line: None)


def test_a_number_of_devices_that_fails_leaves_the_others(monkeypatch):
    report = measured(monkeypatch)
    assert [row.devices for row in report.fixed_global] == [1, 2]
    assert [row.batch for row in report.fixed_local] == [8, 16]
    assert "4 devices: there are 2 devices" in report.table()
    json.dumps(report.to_dict())


@pytest.mark.parametrize(("shared", "share"), [(False, "83%"), (True, "167%")])
def test_efficiency_is_of_each_device_unless_they_share(
    monkeypatch, shared, share
):
    lines = measured(monkeypatch, shared).table().splitlines()
    assert "| 1 | 8 | 1000.0 | 8.0 | 100% |" in lines
    assert f"| 2 | 8 | 600.0 | 13.3 | {share} |" in lines


def test_throughput_is_of_the_median():
    assert ScalingRow(2, 8, (1.0, 2.0, 9.0), False).images_per_second == 4


@pytest.mark.parametrize("devices", [(), (2,), (1, 3)])
def test_devices_that_cannot_be_compared_are_refused(devices):
    with pytest.raises(ValueError, match="`devices` must begin with 1"):
        run_scaling(devices, batch=8)


@pytest.mark.slow
def test_two_devices_are_measured():
    report = run_scaling(
        (1, 2), size=32, batch=2, steps=1, rounds=1, progress=lambda line: None
    )
    assert report.backend == keras.backend.backend()
    assert [row.devices for row in report.fixed_local] == [1, 2]
    assert all(row.images_per_second > 0 for row in report.fixed_local)
