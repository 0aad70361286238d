"""Models and weights that leave the process: files, other backends."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_twins
import keras_twins.weights
from tests import tiny
from tests.compiling import build_optimizer
from tests.compiling import slow_but_on

OTHERS = {
    "tensorflow": ("jax", "torch"),
    "jax": ("tensorflow", "torch"),
    "torch": ("tensorflow", "jax"),
}


def _model(**arguments):
    model = keras_twins.classifier(
        tiny.MINIMAL, input_shape=(64, 64, 3), classes=5, **arguments
    )
    tiny.randomise(model)
    return model


def test_keras_file(tmp_path):
    model = _model(drop_path_rate=0.2)
    x = np.abs(tiny.images(2, 64, 64, 3)) * 60
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict_on_batch(x), model.predict_on_batch(x), atol=1e-6
    )
    assert again.to_json() == model.to_json()


def test_trained_model_goes_on_training(tmp_path):
    """The optimizer's state is in the file as well."""
    model = _model()
    x, y = tiny.images(4, 64, 64, 3), np.arange(4)
    model.compile("adam", "sparse_categorical_crossentropy")
    build_optimizer(model)
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    losses = [
        m.fit(x, y, epochs=1, verbose=0, shuffle=False).history["loss"][0]
        for m in (model, again)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_weights_file_with_top_fills_the_body(tmp_path):
    model = _model()
    model.save_weights(tmp_path / "top.weights.h5")
    body = keras_twins.classifier(
        tiny.MINIMAL,
        input_shape=(64, 64, 3),
        include_top=False,
        weights=tmp_path / "top.weights.h5",
    )
    expected = {w.path: w for w in model.weights}
    for weight in body.weights:
        np.testing.assert_array_equal(
            tiny.to_numpy(weight), tiny.to_numpy(expected[weight.path])
        )


def test_clone_model():
    model = _model()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    x = tiny.images(2, 64, 64, 3)
    np.testing.assert_allclose(
        clone.predict_on_batch(x), model.predict_on_batch(x), atol=1e-5
    )


READER = """
import sys
import keras
import numpy as np
from tests import tiny
import keras_twins
import keras_twins.weights
folder, expected = sys.argv[1:]
assert keras.backend.backend() == expected
x = np.load(folder + "/x.npy")
whole = keras.saving.load_model(folder + "/model.keras")
model = keras_twins.classifier(
    tiny.MINIMAL, input_shape=(64, 64, 3), classes=5,
    weights=folder + "/model.weights.h5",
)
np.savez(
    folder + "/" + expected, whole.predict_on_batch(x),
    model.predict_on_batch(x),
)
"""


@slow_but_on("tensorflow")
def test_other_backends_read_the_files(tmp_path, backend):
    model = _model()
    x = np.abs(tiny.images(2, 64, 64, 3)) * 60
    np.save(tmp_path / "x.npy", x)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    expected = model.predict_on_batch(x)
    for other in OTHERS[backend]:
        subprocess.run(
            [sys.executable, "-c", READER, str(tmp_path), other],
            env={**os.environ, "KERAS_BACKEND": other},
            check=True,
        )
        for found in np.load(tmp_path / f"{other}.npz").values():
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_quantizes_to_int8_and_comes_back(tmp_path):
    model = _model()
    x = np.abs(tiny.images(2, 64, 64, 3)) * 60
    expected = model.predict_on_batch(x)
    model.quantize("int8")
    block = model.get_layer("stage0_block0")
    assert "int8" in str(block.attention.qkv._kernel.dtype)
    quantized = model.predict_on_batch(x)
    np.testing.assert_allclose(quantized, expected, atol=0.05)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert "int8" in str(again.get_layer("stage0_block0").mlp.fc1._kernel.dtype)
    np.testing.assert_allclose(again.predict_on_batch(x), quantized, atol=1e-5)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_quantized_backbone_comes_back(tmp_path):
    backbone = keras_twins.TwinsBackbone(tiny.MINIMAL)
    tiny.randomise(backbone)
    backbone.quantize("int8")
    backbone.save(tmp_path / "backbone.keras")
    again = keras.saving.load_model(tmp_path / "backbone.keras")
    x = tiny.images(1, 64, 64, 3)
    np.testing.assert_allclose(
        again.predict_on_batch(x), backbone.predict_on_batch(x), atol=1e-5
    )


def test_a_map_of_policies_is_saved(tmp_path):
    policy = keras.dtype_policies.DTypePolicyMap(
        default_policy="mixed_bfloat16"
    )
    model = _model(dtype=policy)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_layer("stage0_peg").compute_dtype == "bfloat16"


def test_paths_of_seeds_do_not_depend_on_what_was_built_before():
    """Else torch's state dicts would not fit the same model twice."""
    first, second = (_model(drop_path_rate=0.2) for _ in range(2))
    assert [v.path for v in first.variables] == [
        v.path for v in second.variables
    ]


def test_weights_load_in_any_name_scope(tmp_path):
    model = _model()
    state = keras_twins.weights.export_state(model, tiny.MINIMAL)
    keras_twins.weights.write_safetensors(state, tmp_path / "a.safetensors")
    with keras.name_scope("outer"):
        inner = _model(weights=tmp_path / "a.safetensors")
    again = keras_twins.weights.export_state(inner, tiny.MINIMAL)
    assert again.keys() == state.keys()
