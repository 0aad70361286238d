import dataclasses

import keras
import numpy as np
import pytest

from keras_twins import TwinsBackbone
from keras_twins.applications import classifier
from keras_twins.layers import PositionEncodingGenerator
from keras_twins.segmentation import SemanticFPN
from keras_twins.training.cosine_epochs import WarmupCosineEpochs
from keras_twins.training.layer_decay import LayerDecayAdamW
from keras_twins.training.layer_decay import layer_scales
from keras_twins.training.optimizer import exempt_from_decay
from tests.tiny import SHALLOW
from tests.tiny import to_numpy
from tests.training.torch_adamw import random_like
from tests.training.torch_adamw import torch_train

# Blocks of SHALLOW from stem to head: 0; 1 and 2; 3; 4; 5; 6.
DEPTHS = {
    "stage0_patch_embedding": 0,
    "stage0_block0": 1,
    "stage0_peg": 1,
    "stage0_block1": 2,
    "stage1_patch_embedding": 3,
    "stage1_block0": 3,
    "stage1_peg": 3,
    "stage2_patch_embedding": 4,
    "stage2_block0": 4,
    "stage2_peg": 4,
    "stage3_patch_embedding": 5,
    "stage3_block0": 5,
    "stage3_peg": 5,
    "norm": 5,
    "predictions": 6,
}


def scales_by_layer(model):
    scales = layer_scales(model, 0.5)
    found = {}
    for variable, scale in zip(model.trainable_variables, scales, strict=True):
        found.setdefault(variable.path.split("/")[0], set()).add(scale)
    return found


def test_scales_of_a_classifier():
    model = classifier(SHALLOW, input_shape=(32, 32, 3), classes=3)
    expected = {name: {0.5 ** (6 - i)} for name, i in DEPTHS.items()}
    assert scales_by_layer(model) == expected


def test_scales_of_a_dense_model():
    config = dataclasses.replace(SHALLOW, output_norms=True)
    backbone = TwinsBackbone(config, (32, 32, 3), final_norm=False)
    found = scales_by_layer(SemanticFPN(backbone, 3, filters=8))
    norms = [found.pop(f"stage{i}_output_norm") for i in range(4)]
    assert norms == [{0.5**4}, {0.5**3}, {0.5**2}, {0.5}]
    expected = {
        name: {0.5 ** (6 - i)}
        for name, i in DEPTHS.items()
        if name.startswith("stage")
    }
    assert {name: found.pop(name) for name in expected} == expected
    # What is left are heads.
    assert found and all(scales == {1.0} for scales in found.values())


def test_scales_of_a_backbone_in_a_model():
    backbone = TwinsBackbone(SHALLOW, (32, 32, 3))
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, keras.layers.Dense(2)(backbone(image)))
    found = sorted(set(layer_scales(model, 0.5)))
    assert found == [0.5**i for i in range(6, -1, -1)]


def test_frozen_layers_have_no_scale():
    backbone = TwinsBackbone(SHALLOW, (32, 32, 3))
    backbone.get_layer("stage0_patch_embedding").trainable = False
    assert min(layer_scales(backbone, 0.5)) == 0.5**5


@pytest.mark.parametrize("decay", [0, 1.1])
def test_wrong_decay(decay):
    backbone = TwinsBackbone(SHALLOW, (32, 32, 3))
    with pytest.raises(ValueError, match=f"`decay`.*decay={decay}"):
        layer_scales(backbone, decay)


def test_models_without_backbone_are_refused():
    model = keras.Sequential([keras.Input((3,))], name="bare")
    with pytest.raises(ValueError, match="must stand on a Twins.*bare"):
        layer_scales(model, 0.5)


def small(scales, exempt=(), **kwargs):
    layers = [PositionEncodingGenerator(), keras.layers.LayerNormalization()]
    model = keras.Sequential(
        [keras.Input((4, 4, 4)), *layers, keras.layers.Dense(3)]
    )
    optimizer = LayerDecayAdamW(
        WarmupCosineEpochs(1e-2, 2, 4, warmup_epochs=2),
        0.5,
        scales,
        epsilon=1e-8,
        global_clipnorm=5.0,
        **kwargs,
    )
    weights = model.trainable_variables
    optimizer.exclude_from_weight_decay(var_list=[weights[i] for i in exempt])
    model.compile(optimizer, "mse")
    return model


SCALES = [0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
EXEMPT = (0, 1, 2, 3, 5)


def apply(model, gradients):
    for gradient in gradients:
        tensors = [keras.ops.convert_to_tensor(x) for x in gradient]
        model.optimizer.apply(tensors, model.trainable_variables)


def test_weights_are_those_of_pytorch():
    model = small(SCALES, EXEMPT)
    start = random_like(model.weights, seed=0, size=0.1)
    model.set_weights(start)
    sizes = (3.0, 0.01, 1.0, 0.1) * 2
    gradients = [random_like(start, i + 1, x) for i, x in enumerate(sizes)]
    apply(model, gradients)
    schedule = WarmupCosineEpochs(1e-2, 2, 4, warmup_epochs=2)
    rates = [float(schedule(step)) for step in range(8)]
    decays = [0.0 if i in EXEMPT else 0.5 for i in range(6)]
    expected = torch_train(start, gradients, rates, decays, SCALES)
    for found, value in zip(model.weights, expected, strict=True):
        # Less than a thousandth of one step.
        np.testing.assert_allclose(to_numpy(found), value, atol=1e-6)
    # The rates do matter.
    other = torch_train(start, gradients, rates, decays)
    assert np.abs(other[0] - expected[0]).max() > 1e-2


def test_decay_has_the_rate_of_the_weight():
    model = small(SCALES)
    before = model.get_weights()
    apply(model, [[np.zeros_like(x) for x in before]])
    rate = float(model.optimizer._learning_rate(0))
    for scale, old, variable in zip(SCALES, before, model.weights, strict=True):
        left = 1 - rate * scale * 0.5
        np.testing.assert_allclose(to_numpy(variable), left * old, rtol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_training_goes_on_as_if_never_saved(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model = small(SCALES, EXEMPT, use_ema=True)
    images = random_like([np.zeros((2, 4, 4, 4))], seed=1)[0]
    targets = np.ones((2, 4, 4, 3), "float32")
    for _ in range(3):
        model.train_on_batch(images, targets)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    exempt = [loaded.trainable_variables[i] for i in EXEMPT]
    exempt_from_decay(loaded, exempt)
    for each in (model, loaded):
        each.train_on_batch(images, targets)
    for one, other in zip(
        [*model.weights, *model.optimizer.variables],
        [*loaded.weights, *loaded.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_allclose(to_numpy(other), to_numpy(one), rtol=1e-6)


def test_scales_for_other_variables_are_refused():
    model = small(SCALES[1:])
    with pytest.raises(ValueError, match="`scales`.*5 factors for 6 var"):
        model.optimizer.build(model.trainable_variables)
