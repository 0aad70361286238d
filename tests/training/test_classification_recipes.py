import dataclasses

import keras
import numpy as np
import pytest

from keras_twins.config import VARIANTS
from keras_twins.data.classification.augmentation import RandAugment
from keras_twins.training.classification_recipes import CLASSIFICATION_RECIPES
from keras_twins.training.classification_recipes import ClassificationRecipe
from keras_twins.training.layer_decay import LayerDecayAdamW
from tests.tiny import MINIMAL

RECIPE = ClassificationRecipe(
    variant=MINIMAL,
    image_size=32,
    epochs=3,
    batch_size=256,
    drop_path_rate=0.1,
    dtype="float32",
    source="tests",
)
DROP_PATH = {"small": 0.2, "base": 0.3, "large": 0.5}
IMAGENET = [f"imagenet/{variant}" for variant in VARIANTS]


def changed(**fields):
    return dataclasses.replace(RECIPE, **fields)


@pytest.mark.parametrize("name", IMAGENET)
def test_trainings_on_imagenet_are_those_of_the_paper(name):
    recipe = CLASSIFICATION_RECIPES[name]
    assert recipe.variant == name.removeprefix("imagenet/")
    assert recipe.drop_path_rate == DROP_PATH[name.split("_")[1]]
    numbers = dataclasses.asdict(recipe)
    expected = {
        "image_size": 224,
        "weights": None,
        "epochs": 300,
        "batch_size": 1024,
        "learning_rate": 5e-4,
        "learning_rate_batch": 512,
        "warmup_epochs": 5,
        "warmup_learning_rate": 1e-6,
        "end_learning_rate": 1e-5,
        "schedule_delay": 1,
        "weight_decay": 0.05,
        "clip_norm": 5.0,
        "layer_decay": None,
        "ema_momentum": None,
        "accumulation_steps": 1,
        "crop": "official",
        "dtype": "mixed_float16",
        "gradient_checkpointing": False,
    }
    assert {key: numbers[key] for key in expected} == expected
    assert recipe.peak_learning_rate() == pytest.approx(1e-3)


@pytest.mark.parametrize("name", IMAGENET)
def test_augmentation_on_imagenet_is_that_of_the_paper(name):
    recipe = CLASSIFICATION_RECIPES[name]
    expected = {
        "size": 224,
        "interpolation": "bicubic",
        "flip_rate": 0.5,
        "color_jitter": 0.4,
        "erasing_rate": 0.25,
        "mixup": 0.8,
        "cutmix": 1.0,
        "mix_rate": 1.0,
        "switch_rate": 0.5,
        "label_smoothing": 0.1,
    }
    found = dataclasses.asdict(recipe.augmentation)
    assert {key: found[key] for key in expected} == expected
    assert recipe.augmentation.rand_augment == RandAugment(9, 0.5, 2, 0.5)


def test_finetuning_is_that_of_deit():
    for name in ("cifar10", "cifar100", "flowers102"):
        recipe = CLASSIFICATION_RECIPES[f"finetune/{name}"]
        assert recipe.weights == "imagenet"
        assert (recipe.epochs, recipe.batch_size) == (1000, 768)
        assert recipe.peak_learning_rate() == pytest.approx(7.5e-6)
        assert recipe.end_learning_rate < recipe.peak_learning_rate()
        assert recipe.augmentation.erasing_rate == 0


def test_digits_are_not_mirrored():
    recipe = CLASSIFICATION_RECIPES["digits/svt_tiny"]
    assert recipe.augmentation.flip_rate == 0
    assert recipe.augmentation.size == 32
    assert recipe.peak_learning_rate() == 2e-3


@pytest.mark.parametrize(
    ("batch", "steps", "peak"),
    [(512, 1, 5e-4), (1024, 1, 1e-3), (2048, 1, 2e-3), (256, 4, 1e-3)],
)
def test_learning_rate_grows_with_the_images_of_an_update(batch, steps, peak):
    recipe = changed(batch_size=batch, accumulation_steps=steps)
    assert recipe.peak_learning_rate() == pytest.approx(peak)


def test_schedule():
    schedule = changed(epochs=300, batch_size=1024).schedule(10)
    # As in the released logs: the first rate twice, then the warm-up.
    rates = [float(schedule(10 * epoch)) for epoch in (0, 1, 2, 300)]
    expected = [1e-6, 1e-6, 1e-6 + (1e-3 - 1e-6) / 5, 1.003e-5]
    np.testing.assert_allclose(rates, expected, rtol=1e-3)


def test_optimizer():
    recipe = changed(ema_momentum=0.9, accumulation_steps=2, weight_decay=0.1)
    model = recipe.build(3)
    optimizer = recipe.optimizer(model, 5)
    config = optimizer.get_config()
    expected = {
        "weight_decay": 0.1,
        "global_clipnorm": 5.0,
        "use_ema": True,
        "ema_momentum": 0.9,
        "gradient_accumulation_steps": 2,
        "epsilon": 1e-8,
    }
    assert {key: config[key] for key in expected} == expected
    assert config["learning_rate"]["config"] == recipe.schedule(5).get_config()
    decayed = [
        variable.path
        for variable in model.trainable_variables
        if optimizer._use_weight_decay(variable)
    ]
    assert "predictions/kernel" in decayed
    assert not any("peg" in path or "bias" in path for path in decayed)


def test_optimizer_without_extras():
    config = changed(clip_norm=None).optimizer(RECIPE.build(3), 5).get_config()
    assert config["global_clipnorm"] is None
    assert not config["use_ema"]
    assert config["gradient_accumulation_steps"] is None


def test_optimizer_with_layer_decay():
    recipe = changed(layer_decay=0.5, ema_momentum=0.9)
    model = recipe.build(3)
    optimizer = recipe.optimizer(model, 5)
    assert isinstance(optimizer, LayerDecayAdamW)
    config = optimizer.get_config()
    assert config["scales"][0] == 0.5**5
    assert config["scales"][-1] == 1
    assert config["epsilon"] == 1e-8
    assert config["ema_momentum"] == 0.9
    exempt, decayed = model.trainable_variables[1], model.trainable_variables[0]
    assert optimizer._use_weight_decay(decayed)
    assert not optimizer._use_weight_decay(exempt)


def test_models_in_float16_have_a_head_in_float32():
    recipe = changed(dtype="mixed_float16")
    model = recipe.build(3)
    assert model.get_layer("norm").compute_dtype == "float16"
    assert model.get_layer("predictions").compute_dtype == "float32"
    assert model.output.dtype == "float32"
    model.compile(recipe.optimizer(model, 1), recipe.loss())
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_loss_is_the_cross_entropy_with_mixed_targets():
    targets = np.array([[0.7, 0.3, 0.0], [0.0, 0.0, 1.0]], "float32")
    scores = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], "float32")
    expected = -(targets * np.log(scores)).sum(axis=1).mean()
    found = float(RECIPE.loss()(targets, scores))
    assert found == pytest.approx(expected, rel=1e-5)


def test_model_has_the_names_of_a_classifier(tmp_path):
    model = RECIPE.build(3)
    again = RECIPE.build(5, weights=_saved(model, tmp_path))
    assert again.get_layer("predictions").units == 5
    name = "stage0_patch_embedding"
    np.testing.assert_array_equal(
        again.get_layer(name).get_weights()[0],
        model.get_layer(name).get_weights()[0],
    )


def _saved(model, folder):
    path = folder / "body.weights.h5"
    model.save_weights(path)
    return str(path)


def test_augmentation_follows_the_size():
    recipe = changed(image_size=64)
    assert recipe.augmentation.size == 64
    assert recipe.build(2).input_shape == (None, 64, 64, 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_size", 0),
        ("epochs", 0),
        ("batch_size", 0),
        ("accumulation_steps", 0),
        ("learning_rate", -1e-3),
        ("warmup_epochs", -1),
        ("clip_norm", 0),
        ("layer_decay", 0),
        ("layer_decay", 1.5),
        ("ema_momentum", 1),
        ("drop_path_rate", 1),
        ("crop", "center"),
        ("variant", "svt_tiny"),
    ],
)
def test_wrong_values(field, value):
    with pytest.raises(ValueError, match=f"`{field}`.*{field}={value!r}"):
        changed(**{field: value})
