import keras
import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.numpy import save_file

import keras_twins
from keras_twins.training.lora import enable_lora
from keras_twins.training.lora import load_lora
from keras_twins.training.lora import merge_lora
from keras_twins.training.lora import save_lora
from tests.tiny import MINIMAL
from tests.tiny import images
from tests.tiny import randomise
from tests.tiny import to_numpy

CLASSES = 3
IMAGES = images(2, 32, 32, 3)
TARGETS = np.eye(CLASSES, dtype="float32")[:2]


def classifier(seed=0, name="twins", **kwargs):
    model = keras_twins.classifier(
        MINIMAL,
        input_shape=(32, 32, 3),
        classes=CLASSES,
        include_preprocessing=False,
        name=name,
        **kwargs,
    )
    randomise(model, seed)
    return model


def predict(model):
    return to_numpy(model(IMAGES))


def train(model, steps=2):
    model.compile(keras.optimizers.Adam(0.05), "categorical_crossentropy")
    model.fit(IMAGES, TARGETS, epochs=steps, verbose=0)


@pytest.fixture
def adapted():
    """A classifier with updates that are not zero, and a new head."""
    model = classifier()
    enable_lora(model, rank=2, alpha=6)
    generator = np.random.default_rng(1)
    for variable in model.trainable_variables:
        value = generator.standard_normal(tuple(variable.shape))
        variable.assign(0.3 * value)
    return model


def test_model_computes_what_it_did():
    model = classifier()
    before = predict(model)
    count = enable_lora(model, rank=2)
    np.testing.assert_array_equal(predict(model), before)
    sizes = [np.prod(v.shape) for v in model.trainable_variables]
    assert count == sum(sizes)
    assert count < model.count_params() / 5


def test_what_is_trainable():
    model = classifier()
    enable_lora(model, rank=2)
    paths = [variable.path for variable in model.trainable_variables]
    # They name what checkpoints hold.
    assert len(set(paths)) == len(paths)
    assert "stage1_block0/attention/kv/lora_kernel_b" in paths
    parts = {tuple(path.split("/")[-2:]) for path in paths}
    names = ("qkv", "q", "kv", "projection", "fc1", "fc2")
    updates = {(n, f"lora_kernel_{x}") for n in names for x in "ab"}
    head = {("predictions", "kernel"), ("predictions", "bias")}
    assert parts == updates | head


def test_chosen_targets_and_no_head():
    model = classifier()
    enable_lora(model, rank=1, targets=("qkv",), head=())
    names = {v.path.split("/")[-2] for v in model.trainable_variables}
    assert names == {"qkv"}


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_training_leaves_the_frozen_weights(dtype):
    model = classifier(dtype=dtype)
    enable_lora(model, rank=2)
    frozen = {v.path for v in model.non_trainable_weights}
    before = {v.path: to_numpy(v).copy() for v in model.weights}
    train(model)
    same = {
        v.path
        for v in model.weights
        if np.array_equal(to_numpy(v), before[v.path])
    }
    # Small maps have one key, which gets all attention, whatever the query.
    assert all("/attention/q/" in path for path in same - frozen)
    assert frozen <= same


def test_programs_are_made_anew():
    model = classifier()
    model.predict(IMAGES, verbose=0)
    enable_lora(model, rank=2)
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    found = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found, predict(model), atol=1e-5)


def test_saved_and_loaded(adapted, tmp_path):
    path = tmp_path / "flowers.safetensors"
    save_lora(adapted, path)
    assert set(load_file(path)) == {v.path for v in adapted.trainable_weights}
    base = classifier()
    load_lora(base, path)
    np.testing.assert_allclose(predict(base), predict(adapted), atol=1e-6)
    paths = [{v.path for v in m.trainable_variables} for m in (base, adapted)]
    assert paths[0] == paths[1]
    # It can be trained on.
    train(base, 1)


def test_loaded_into_a_model_with_updates(adapted, tmp_path):
    path = tmp_path / "flowers.safetensors"
    save_lora(adapted, path)
    model = classifier()
    enable_lora(model, rank=2)
    load_lora(model, path)
    np.testing.assert_allclose(predict(model), predict(adapted), atol=1e-6)


def test_merged(adapted, tmp_path):
    expected = predict(adapted)
    assert merge_lora(adapted) == 18
    np.testing.assert_allclose(predict(adapted), expected, atol=2e-5)
    plain = classifier()
    assert len(adapted.weights) == len(plain.weights)
    assert len(adapted.trainable_weights) == len(plain.trainable_weights)
    adapted.save(tmp_path / "merged.keras")
    loaded = keras.saving.load_model(tmp_path / "merged.keras")
    np.testing.assert_allclose(predict(loaded), predict(adapted), atol=1e-6)
    # Updates can be added again.
    enable_lora(adapted, rank=1)


def test_einsum_layers():
    x = keras.Input((4, 5))
    y = keras.layers.EinsumDense("abc,cd->abd", (None, 6), name="qkv")(x)
    model = keras.Model(x, y)
    enable_lora(model, rank=2, head=())
    layer = model.get_layer("qkv")
    layer.lora_kernel_b.assign(keras.ops.ones((2, 6)))
    inputs = images(2, 4, 5)
    before = to_numpy(model(inputs))
    merge_lora(model)
    np.testing.assert_allclose(to_numpy(model(inputs)), before, atol=1e-5)


def test_other_files_are_refused(adapted, tmp_path):
    path = tmp_path / "file.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no safetensors file"):
        load_lora(classifier(), path)
    save_file({"x": np.zeros(2)}, path)
    with pytest.raises(ValueError, match="`save_lora` wrote"):
        load_lora(classifier(), path)
    save_lora(adapted, path)
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="same variables"):
        load_lora(other, path)
    wider = classifier()
    enable_lora(wider, rank=3)
    with pytest.raises(ValueError, match=r"must have the shape \(\d+, 3\)"):
        load_lora(wider, path)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rank": 0}, "`rank` must be at least 1"),
        ({"targets": ("query",)}, "`targets` must name dense.*'fc1'"),
        ({"head": ("top",)}, r"\['top'\]; the last layers .*'predictions'"),
    ],
)
def test_wrong_arguments(kwargs, message):
    model = classifier()
    with pytest.raises(ValueError, match=message):
        enable_lora(model, **{"rank": 2, **kwargs})
    assert len(model.trainable_variables) == len(model.trainable_weights) > 50


def test_wrong_order(adapted):
    with pytest.raises(ValueError, match="already.*merge_lora"):
        enable_lora(adapted, rank=2)
    model = classifier()
    for function in (merge_lora, lambda m: save_lora(m, "x.safetensors")):
        with pytest.raises(ValueError, match="must have low-rank updates"):
            function(model)
    train(model, 1)
    with pytest.raises(ValueError, match="before `compile`"):
        enable_lora(model, rank=2)
