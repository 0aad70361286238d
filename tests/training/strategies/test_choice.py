"""Strategies by name, and what all of them share."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_twins.training.strategies import STRATEGIES
from keras_twins.training.strategies import SingleDevice
from keras_twins.training.strategies import distribution
from keras_twins.training.strategies.devices import choose_devices
from keras_twins.training.strategies.local_data import local_batch_size
from keras_twins.training.strategies.tensorflow_cluster import worker_of


def test_unknown_strategies_are_refused():
    with pytest.raises(ValueError, match="`strategy` must be one of"):
        distribution("horovod")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategies_of_other_backends_are_refused(strategy, backend):
    if backend in STRATEGIES[strategy]:
        pytest.skip("it has this one")
    (needed,) = STRATEGIES[strategy]
    with pytest.raises(ValueError, match=f"KERAS_BACKEND={needed}"):
        distribution(strategy)


@pytest.mark.parametrize(
    "given",
    [{"model_devices": 2}, {"address": "localhost:1"}, {"num_processes": 2}],
)
def test_arguments_that_mean_nothing_are_refused(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        distribution("none", **given)


def test_one_device_is_enough_by_default(monkeypatch):
    for name in ("TF_CONFIG", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    spread = distribution(devices=1)
    assert spread.name == "none"
    assert spread.shard == (1, 0)
    assert spread.is_chief


def test_a_named_device_gets_the_variables():
    with distribution("none", devices=["cpu:0"]).scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert "cpu" in str(_device(model.weights[0].value)).lower()


def _device(value):
    return value.device


@pytest.mark.parametrize("devices", [2, ["cpu:0", "cpu:1"], "cpu:0"])
def test_no_strategy_takes_several_devices_for_one(devices):
    with pytest.raises(ValueError, match="name of one device"):
        distribution("none", devices=devices)


def test_values_that_are_read_do_not_change_with_the_variables():
    variable = keras.Variable(np.zeros(2, "float32"))
    spread = SingleDevice()
    (read,) = spread.read([variable])
    spread.write([variable], [np.ones(2, "float32")])
    variable.assign_add(np.ones(2, "float32"))
    np.testing.assert_array_equal(read, 0)
    np.testing.assert_array_equal(spread.read([variable])[0], 2)


def test_prediction_takes_data_of_unknown_length():
    x = np.arange(6, dtype="float32").reshape(6, 1)
    dataset = tf.data.Dataset.from_tensor_slices(x)
    dataset = dataset.filter(lambda row: row[0] < 4).batch(2)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Flatten()])
    scores = SingleDevice().predict(model, dataset)
    np.testing.assert_array_equal(scores, x[:4])


def test_batches_are_cut_into_equal_parts():
    rows = tf.data.Dataset.range(8)
    assert local_batch_size(rows.batch(6, drop_remainder=True), 3) == 6
    with pytest.raises(ValueError, match="batches of 6 for 4 devices"):
        local_batch_size(rows.batch(6, drop_remainder=True), 4)
    with pytest.raises(ValueError, match="static size"):
        local_batch_size(rows.batch(6), 2)


def test_devices_are_chosen_by_number_or_name():
    found = ["gpu:0", "gpu:1", "gpu:2"]
    assert choose_devices(None, found) == found
    assert choose_devices(2, found) == found[:2]
    assert choose_devices(["gpu:2"], found) == ["gpu:2"]
    for wrong in (0, 4, [], "gpu:0"):
        with pytest.raises(ValueError, match="`devices` must be"):
            choose_devices(wrong, found)


def test_workers_of_a_cluster_are_counted_after_its_chief():
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    for kind, index, expected in (("chief", 0, 0), ("worker", 1, 2)):
        task = {"type": kind, "index": index}
        text = json.dumps({"cluster": cluster, "task": task})
        assert worker_of(text) == (3, expected)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"cluster": 1}'])
def test_a_cluster_that_is_not_described_is_refused(text):
    with pytest.raises(ValueError, match="TF_CONFIG"):
        worker_of(text)
