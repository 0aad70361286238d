"""What `fit` and its like take, and how a training is saved."""

import keras
import numpy as np
import pytest

from keras_twins.detection import RetinaNet
from tests.compiling import build_optimizer
from tests.detection.models import batch
from tests.detection.models import build
from tests.tiny import to_numpy

# Op by op, JAX would compile each of them.
JIT = keras.backend.backend() == "jax"


def compiled(frozen=None):
    model = build(RetinaNet)
    if frozen:
        model.backbone.get_layer(frozen).trainable = False
    model.compile(keras.optimizers.Adam(2e-3), jit_compile=JIT)
    build_optimizer(model)
    return model


def test_arrays_are_looked_at_before_a_graph_is_made():
    model = compiled()
    truth = batch()
    del truth["valid"]
    # Sizes that were others before are unknown to TensorFlow's graphs.
    model.fit(truth, verbose=0)
    wrong = {**truth, "boxes": truth["boxes"][:, :1]}
    pair = (wrong.pop("images"), wrong)
    for call in (
        lambda: model.fit(*pair, verbose=0),
        lambda: model.fit(truth, validation_data=pair, verbose=0),
        lambda: model.evaluate(*pair, verbose=0),
        lambda: model.train_on_batch(*pair),
        lambda: model.test_on_batch(*pair),
    ):
        with pytest.raises(ValueError, match=r"boxes \(2, 1, 4\), labels"):
            call()
    for predict in (model.predict, model.predict_on_batch):
        with pytest.raises(ValueError, match=r"'images' must .*\(64, 96, 3\)"):
            predict(truth["images"][0])
    lists = {**truth, "labels": truth["labels"].tolist()}
    model.fit(lists, validation_data=lists, verbose=0)


def test_a_loaded_detector_goes_on_training(tmp_path):
    model = compiled(frozen="stage0_block0")
    model.train_on_batch(batch())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.jit_compile == JIT
    assert float(loaded.optimizer.learning_rate) == pytest.approx(2e-3)
    assert int(loaded.optimizer.iterations) == 1
    for old, new in zip(
        model.optimizer.variables, loaded.optimizer.variables, strict=True
    ):
        np.testing.assert_allclose(
            to_numpy(new), to_numpy(old), err_msg=new.path
        )
    expected, found = (
        x.fit(batch(), epochs=2, verbose=0).history["loss"]
        for x in (model, loaded)
    )
    assert int(loaded.optimizer.iterations) == 3
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_the_compiler_of_a_loaded_detector(tmp_path):
    model = build(RetinaNet, image_shape=(None, None, 3))
    for asked in ("auto", False):
        model.compile("sgd", jit_compile=asked)
        config = model.get_compile_config()
        assert config["jit_compile"] == asked
        # As of a backend that compiles open sizes.
        config["jit_compile"] = asked and True
        loaded = RetinaNet.from_config(model.get_config())
        assert loaded.get_compile_config() == {}
        loaded.compile_from_config(config)
        assert loaded.compiled and type(loaded.optimizer).__name__ == "SGD"
