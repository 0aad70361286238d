import dataclasses

import keras
import numpy as np
import pytest

from keras_twins import TwinsBackbone
from keras_twins.data.detection_augmentation import COCO_1X
from keras_twins.data.detection_augmentation import COCO_3X
from keras_twins.training import DETECTION_RECIPES
from keras_twins.training import override
from tests.compiling import slow_on
from tests.tiny import MINIMAL
from tests.tiny import to_numpy

SHARED = {
    "batch_size": 16,
    "warmup_steps": 500,
    "warmup_ratio": 1e-3,
    "drop_path_rate": 0.2,
    "evaluation_scale": None,
}
SHORT = {
    **SHARED,
    "epochs": 12,
    "drop_epochs": (8, 11),
    "weight_decay": 1e-4,
    "exempt_norms": False,
    "augmentation": COCO_1X,
    "dtype": "float32",
}
LONG = {
    **SHARED,
    "epochs": 36,
    "drop_epochs": (27, 33),
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "exempt_norms": True,
    "augmentation": COCO_3X,
}
PUBLISHED = {
    "coco/retinanet_1x": {**SHORT, "head": "retinanet", "learning_rate": 1e-4},
    "coco/mask_rcnn_1x": {**SHORT, "head": "mask_rcnn", "learning_rate": 2e-4},
    "coco/retinanet_3x": {**LONG, "head": "retinanet", "dtype": "float32"},
    "coco/mask_rcnn_3x": {
        **LONG,
        "head": "mask_rcnn",
        "dtype": "mixed_float16",
    },
}
"""What the official configurations say."""


def build() -> TwinsBackbone:
    config = dataclasses.replace(MINIMAL, output_norms=True)
    return TwinsBackbone(config, (32, 32, 3), final_norm=False)


def numbers(recipe) -> dict:
    return {
        field.name: getattr(recipe, field.name)
        for field in dataclasses.fields(recipe)
    }


def test_numbers_are_those_published():
    found = {k: numbers(recipe) for k, recipe in DETECTION_RECIPES.items()}
    for row in found.values():
        assert "Meituan-AutoML/Twins" in row.pop("source")
    assert found == PUBLISHED


def test_sizes_of_a_validation_follow_the_training():
    recipe = DETECTION_RECIPES["coco/retinanet_3x"]
    assert recipe.validation_scale() == (1333, 800)
    changes = ["augmentation.short_sides=64,96", "augmentation.crop_rate=0"]
    small = override(recipe, [*changes, "augmentation.max_long_side=160"])
    assert small.validation_scale() == (160, 96)
    set_apart = override(small, ["evaluation_scale=320,200"])
    assert set_apart.validation_scale() == (320, 200)
    with pytest.raises(ValueError, match=r"Received: evaluation_scale=\(0, 9"):
        override(recipe, ["evaluation_scale=0,9"])


@pytest.mark.parametrize(
    ("images", "steps"), [(117_266, 7330), (16, 1), (17, 2)]
)
def test_steps_of_an_epoch(images, steps):
    recipe = DETECTION_RECIPES["coco/retinanet_1x"]
    assert recipe.steps_per_epoch(images) == steps


def test_no_images():
    with pytest.raises(ValueError, match="`images` must be positive"):
        DETECTION_RECIPES["coco/retinanet_1x"].steps_per_epoch(0)


@pytest.mark.parametrize(
    ("name", "steps", "rates"),
    [
        (
            "coco/mask_rcnn_1x",
            None,
            {0: 2e-7, 500: 2e-4, 58_639: 2e-4, 58_640: 2e-5, 80_630: 2e-6},
        ),
        ("coco/retinanet_3x", 100, {2699: 1e-4, 2700: 1e-5, 3300: 1e-6}),
    ],
)
def test_learning_rates(name, steps, rates):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = DETECTION_RECIPES[name].optimizer(model, steps)
    for step, rate in rates.items():
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(rate, rel=1e-5)


@pytest.mark.parametrize("name", DETECTION_RECIPES)
def test_optimizer_is_adamw_of_pytorch(name):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = DETECTION_RECIPES[name].optimizer(model)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    found = optimizer.weight_decay, optimizer.beta_1, optimizer.beta_2
    decay = PUBLISHED[name]["weight_decay"]
    assert (*found, optimizer.epsilon) == (decay, 0.9, 0.999, 1e-8)


@slow_on("jax")  # compiles the step of every shape by itself
@pytest.mark.parametrize("name", ["coco/retinanet_1x", "coco/retinanet_3x"])
def test_what_a_recipe_does_not_decay(name):
    """Where there is no gradient, all that moves is decay."""
    recipe = DETECTION_RECIPES[name]
    recipe = dataclasses.replace(recipe, learning_rate=0.1, weight_decay=0.5)
    model = build()
    optimizer = recipe.optimizer(model)
    optimizer.iterations.assign(500)
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    optimizer.apply([keras.ops.zeros(v.shape) for v in variables], variables)
    spared = {v.path for v in variables if to_numpy(v).max() == 1}
    named = {
        v.path
        for v in variables
        if v.path.startswith("stage")
        and ("_peg/" in v.path or "norm" in v.path)
    }
    assert len(named) > 20
    assert spared == (named if recipe.exempt_norms else set())
