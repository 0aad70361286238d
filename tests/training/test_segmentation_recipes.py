import dataclasses

import keras
import numpy as np
import pytest

from keras_twins import TwinsBackbone
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet
from keras_twins.training import SEGMENTATION_RECIPES
from keras_twins.training import adamw
from keras_twins.training import without_decay
from tests.tiny import SHALLOW
from tests.tiny import to_numpy

CONFIG = dataclasses.replace(SHALLOW, output_norms=True)
HEADS = {"semantic_fpn": SemanticFPN, "upernet": UPerNet}


def build(cls):
    backbone = TwinsBackbone(CONFIG, (32, 32, 3), final_norm=False)
    return cls(backbone, 3, filters=4)


def test_what_is_not_decayed():
    paths = {v.path for v in without_decay(build(UPerNet))}
    assert "stage0_peg/depthwise/bias" in paths
    assert "stage1_output_norm/gamma" in paths
    assert "stage0_block1/attention/reduction_norm/beta" in paths
    assert "stage0_patch_embedding/norm/gamma" in paths
    # Batch norms of the heads and plain biases are decayed.
    assert not any("head" in path or "fc1" in path for path in paths)
    assert not any(path.endswith("projection/bias") for path in paths)


def test_decay_alone():
    """Where there is no gradient, all that moves is decay."""
    model = build(UPerNet)
    exempt = without_decay(model)
    optimizer = adamw(0.1, 0.5, exempt)
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    zeros = [keras.ops.zeros(v.shape) for v in variables]
    optimizer.apply(zeros, variables)
    spared = {v.path for v in exempt}
    assert 0 < len(spared) < len(variables)
    for variable in variables:
        expected = 1.0 if variable.path in spared else 1 - 0.1 * 0.5
        np.testing.assert_allclose(to_numpy(variable), expected, rtol=1e-6)


@pytest.mark.parametrize("name", SEGMENTATION_RECIPES)
def test_a_step_of_each_recipe(name):
    recipe = SEGMENTATION_RECIPES[name]
    model = build(HEADS[recipe.head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(recipe.optimizer(model), loss)
    images = np.full((2, 32, 32, 3), 100, "float32")
    assert np.isfinite(model.train_on_batch(images, np.zeros((2, 32, 32))))
    assert recipe.drop_path("svt_large") > recipe.drop_path("svt_base")


def test_recipes_of_the_paper():
    fpn = SEGMENTATION_RECIPES["ade20k/semantic_fpn"]
    assert fpn.optimizer(build(SemanticFPN))._learning_rate(80_000) <= 1.01e-6
    upernet = SEGMENTATION_RECIPES["ade20k/upernet"]
    assert (upernet.steps, upernet.batch_size) == (160_000, 16)
    with pytest.raises(ValueError, match="`variant` must be one of"):
        upernet.drop_path("svt_huge")
