"""Whole files into models, and what `weights="imagenet"` does."""

import dataclasses

import h5py
import keras
import numpy as np
import pytest

import keras_twins
from keras_twins import TwinsBackbone
from keras_twins.weights import CheckpointError
from keras_twins.weights import export_state
from keras_twins.weights import load_pretrained
from keras_twins.weights import load_weights_file
from keras_twins.weights import write_safetensors
from keras_twins.weights.digests import file_digest
from keras_twins.weights.registry import SOURCES
from tests.tiny import SHALLOW
from tests.tiny import SVT
from tests.tiny import randomise
from tests.tiny import to_numpy
from tests.weights import server as pages
from tests.weights import torch_samples as samples


def backbone(seed=0, config=SHALLOW) -> TwinsBackbone:
    model = TwinsBackbone(config, (32, 32, 3))
    randomise(model, seed)
    return model


def write(model: TwinsBackbone, path) -> None:
    state = export_state(model, model.config)
    if path.name.endswith(".safetensors"):
        write_safetensors(state, path)
    elif path.name.endswith(".legacy.pth"):
        samples.save_legacy(path, state)
    elif path.name.endswith(".pth"):
        samples.save_zip(path, state)
    else:
        model.save_weights(path)


def same(model, other) -> bool:
    pairs = zip(model.weights, other.weights, strict=True)
    return all(np.array_equal(to_numpy(a), to_numpy(b)) for a, b in pairs)


NAMES = ("w.safetensors", "w.pth", "w.legacy.pth", "w.weights.h5")


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_file_fills_the_model(tmp_path, name):
    saved, model = backbone(seed=1), backbone(seed=2)
    write(saved, tmp_path / name)
    load_weights_file(model, SHALLOW, tmp_path / name, include_top=False)
    assert same(model, saved)


def check_refused(path, match: str) -> None:
    """Checks that the file is refused by name, and the model as it was."""
    model, before = backbone(seed=2), backbone(seed=2)
    with pytest.raises(CheckpointError, match=match) as caught:
        load_weights_file(model, SHALLOW, path, include_top=False)
    assert str(path) in str(caught.value)
    assert same(model, before)


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_file_is_refused(tmp_path, name):
    path = tmp_path / name
    write(backbone(seed=1), path)
    whole = path.read_bytes()
    for share in (0.01, 0.5, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        check_refused(path, "weight")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "config",
    [
        SVT,
        dataclasses.replace(SHALLOW, depths=(1, 1, 1, 1)),
        dataclasses.replace(SHALLOW, embed_dims=(16, 16, 24, 32)),
        dataclasses.replace(SHALLOW, output_norms=True),
    ],
)
def test_a_file_of_another_architecture_is_refused(tmp_path, name, config):
    write(backbone(1, config), tmp_path / name)
    check_refused(tmp_path / name, "fit")


@pytest.mark.parametrize("name", NAMES)
def test_values_that_are_not_finite_are_refused(tmp_path, name):
    model = backbone(seed=1)
    last = to_numpy(model.weights[-1]).copy()
    last[3] = np.inf
    model.weights[-1].assign(last)
    write(model, tmp_path / name)
    check_refused(tmp_path / name, "not finite")


def test_an_hdf5_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "w.weights.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros(3)
    check_refused(path, "no Keras model")


def test_a_keras_file_must_have_a_keras_name(tmp_path):
    backbone().save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "w.weights.h5").rename(tmp_path / "w.h5")
    check_refused(tmp_path / "w.h5", "rename it")


def test_a_keras_file_with_a_head_fills_a_model_without(tmp_path):
    saved = keras_twins.classifier(
        SHALLOW, weights=None, input_shape=(32, 32, 3), classes=5
    )
    randomise(saved, 1)
    path = tmp_path / "w.weights.h5"
    saved.save_weights(path)
    model = backbone(seed=2)
    load_weights_file(model, SHALLOW, path, include_top=False)
    for name, array in export_state(model, SHALLOW).items():
        np.testing.assert_array_equal(array, export_state(saved, SHALLOW)[name])
    model.save_weights(path)
    with pytest.raises(CheckpointError, match="lacks 2"):
        load_weights_file(saved, SHALLOW, path, include_top=True)


def test_another_model_of_keras_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save_weights(tmp_path / "w.weights.h5")
    check_refused(tmp_path / "w.weights.h5", "fit")


def test_a_trained_model_keeps_its_optimizer_apart(tmp_path):
    saved, model = backbone(seed=1), backbone(seed=2)
    saved.compile("adam", "mse")
    saved.optimizer.build(saved.trainable_variables)
    write(saved, tmp_path / "w.weights.h5")
    load_weights_file(
        model, SHALLOW, tmp_path / "w.weights.h5", include_top=False
    )
    assert same(model, saved)


def test_wrapped_checkpoints_are_unwrapped(tmp_path):
    saved, model = backbone(seed=1), backbone(seed=2)
    state = export_state(saved, SHALLOW)
    write_safetensors(
        {f"module.{name}": array for name, array in state.items()},
        tmp_path / "w.safetensors",
    )
    load_weights_file(
        model, SHALLOW, tmp_path / "w.safetensors", include_top=False
    )
    assert same(model, saved)


def test_imagenet_fetches_the_file_of_the_variant(tmp_path, monkeypatch):
    saved, model = backbone(seed=1), backbone(seed=2)
    write(saved, tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pages.run_server() as server:
        source = pages.source_of(
            server.url + "/w", sha256=file_digest(tmp_path / "w.safetensors")
        )
        server.pages["/w"] = pages.send(content)
        monkeypatch.setitem(SOURCES, "svt_small", (source,))
        for _ in range(2):
            randomise(model, 2)
            load_pretrained(
                model, SHALLOW, "svt_small", "imagenet", include_top=False
            )
            assert same(model, saved)
        assert server.requests == ["/w"]


def test_no_weights_are_no_change():
    model = backbone(seed=2)
    load_pretrained(model, SHALLOW, "svt_small", None, include_top=False)
    assert same(model, backbone(seed=2))


def test_an_own_architecture_has_no_published_weights():
    with pytest.raises(ValueError, match="needs a published variant"):
        load_pretrained(
            backbone(), SHALLOW, None, "imagenet", include_top=False
        )
