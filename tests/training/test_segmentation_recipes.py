import dataclasses

import keras
import numpy as np
import pytest

from keras_twins import TwinsBackbone
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet
from keras_twins.training import SEGMENTATION_RECIPES
from tests.compiling import build_optimizer
from tests.compiling import slow_on
from tests.tiny import MINIMAL
from tests.tiny import to_numpy

CONFIG = dataclasses.replace(MINIMAL, output_norms=True)
HEADS = {"semantic_fpn": SemanticFPN, "upernet": UPerNet}

PUBLISHED = {
    "ade20k/semantic_fpn": {
        "head": "semantic_fpn",
        "steps": 80_000,
        "batch_size": 32,
        "learning_rate": 1e-4,
        "weight_decay": 1e-4,
        "exempt_norms": False,
        "power": 0.9,
        "end_learning_rate": 1e-6,
        "warmup_steps": 0,
        "crop": 512,
        "drop_path_rate": 0.2,
        "drop_path_rate_large": 0.3,
    },
    "ade20k/upernet": {
        "head": "upernet",
        "steps": 160_000,
        "batch_size": 16,
        "learning_rate": 6e-5,
        "weight_decay": 0.01,
        "exempt_norms": True,
        "power": 1.0,
        "end_learning_rate": 0.0,
        "warmup_steps": 1500,
        "crop": 512,
        "drop_path_rate": 0.2,
        "drop_path_rate_large": 0.3,
    },
}
"""What the official configurations say."""


def build(recipe):
    backbone = TwinsBackbone(CONFIG, (32, 32, 3), final_norm=False)
    return HEADS[recipe.head](backbone, 3, filters=4)


def test_numbers_are_those_published():
    found = {
        name: dataclasses.asdict(recipe)
        for name, recipe in SEGMENTATION_RECIPES.items()
    }
    for numbers in found.values():
        assert "Meituan-AutoML/Twins" in numbers.pop("source")
    assert found == PUBLISHED


@pytest.mark.parametrize(
    ("variant", "rate"),
    [
        ("pcpvt_small", 0.2),
        ("pcpvt_base", 0.2),
        ("pcpvt_large", 0.2),
        ("svt_small", 0.2),
        ("svt_base", 0.2),
        ("svt_large", 0.3),
    ],
)
def test_drop_path(variant, rate):
    for recipe in SEGMENTATION_RECIPES.values():
        assert recipe.drop_path(variant) == rate


def test_unknown_variants_are_refused():
    with pytest.raises(ValueError, match="`variant` must be one of"):
        SEGMENTATION_RECIPES["ade20k/upernet"].drop_path("svt_huge")


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        (
            "ade20k/semantic_fpn",
            {0: 1e-4, 1500: 9.83278e-5, 40_000: 5.40528e-5, 80_000: 1e-6},
        ),
        (
            "ade20k/upernet",
            {0: 6e-11, 750: 2.98594e-5, 1500: 5.94375e-5, 160_000: 0.0},
        ),
    ],
)
def test_learning_rates(name, rates):
    recipe = SEGMENTATION_RECIPES[name]
    optimizer = recipe.optimizer(build(recipe))
    for step, rate in rates.items():
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(rate, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "weight_decay"),
    [("ade20k/semantic_fpn", 1e-4), ("ade20k/upernet", 0.01)],
)
def test_optimizer_is_adamw_of_pytorch(name, weight_decay):
    recipe = SEGMENTATION_RECIPES[name]
    optimizer = recipe.optimizer(build(recipe))
    assert isinstance(optimizer, keras.optimizers.AdamW)
    found = optimizer.weight_decay, optimizer.beta_1, optimizer.beta_2
    assert (*found, optimizer.epsilon) == (weight_decay, 0.9, 0.999, 1e-8)


@slow_on("jax")  # compiles the step of every shape by itself
@pytest.mark.parametrize("name", PUBLISHED)
def test_what_a_recipe_does_not_decay(name):
    """Where there is no gradient, all that moves is decay."""
    recipe = SEGMENTATION_RECIPES[name]
    # A decay that float32 shows; it takes a rate after the warm-up.
    recipe = dataclasses.replace(recipe, learning_rate=0.1, weight_decay=0.5)
    model = build(recipe)
    optimizer = recipe.optimizer(model)
    optimizer.iterations.assign(1500)
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    optimizer.apply([keras.ops.zeros(v.shape) for v in variables], variables)
    left = {v.path: to_numpy(v).max() for v in variables}
    spared = {path for path, value in left.items() if value == 1}
    # The names that the configuration has: `pos_block` and `norm`.
    named = {
        path
        for path in left
        if path.startswith("stage") and ("_peg/" in path or "norm" in path)
    }
    assert len(named) > 20
    assert spared == (named if name == "ade20k/upernet" else set())
    assert all(left[path] < 0.96 for path in set(left) - spared)


@pytest.mark.parametrize("name", SEGMENTATION_RECIPES)
def test_a_step_of_each_recipe(name):
    recipe = SEGMENTATION_RECIPES[name]
    model = build(recipe)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(recipe.optimizer(model), loss)
    build_optimizer(model)
    images = np.full((2, 32, 32, 3), 100, "float32")
    assert np.isfinite(model.train_on_batch(images, np.zeros((2, 32, 32))))
