"""What models of segmentation can stand on, and what comes back of it."""

import keras
import numpy as np
import pytest

from keras_twins import TwinsBackbone
from keras_twins.segmentation import SemanticFPN
from tests.tiny import MINIMAL
from tests.tiny import images


def plain_backbone() -> keras.Model:
    """A functional model of Keras's own layers, with one level too many."""
    x = image = keras.Input((None, None, 3))
    maps = {}
    for level in range(1, 6):
        x = keras.layers.Conv2D(4 * level, 3, 2, "same")(x)
        # An operation that is no layer.
        maps[f"P{level}"] = x = keras.ops.relu(x)
    backbone = keras.Model(image, x, name="plain")
    backbone.pyramid_outputs = maps
    return backbone


def small(backbone, **arguments) -> SemanticFPN:
    return SemanticFPN(backbone, 3, pyramid_filters=4, filters=4, **arguments)


def test_only_what_has_a_pyramid():
    plain = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match=r"pyramid_outputs.*P2, P3, P4, P5"):
        SemanticFPN(plain)


def test_any_backbone_with_a_pyramid(tmp_path):
    model, x = small(plain_backbone()), 99 * images(1, 64, 96, 3)
    scores = model.predict_on_batch(x)
    assert scores.shape == (1, 64, 96, 3)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    # It can be saved again.
    sources, expected = (
        x.get_config()["level_sources"] for x in (again, model)
    )
    assert sources == expected
    np.testing.assert_allclose(again.predict_on_batch(x), scores, atol=1e-5)


def test_levels_that_would_not_be_saved_are_named():
    backbone = plain_backbone()
    levels = backbone.pyramid_outputs
    levels["P3"] = keras.layers.Conv2D(4, 1)(levels["P3"])
    model = small(backbone)
    with pytest.raises(ValueError, match="where P3 is not.*`save_weights`"):
        model.get_config()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colours_alone_are_normalised(channels):
    backbone = TwinsBackbone(MINIMAL, (None, None, channels), final_norm=False)
    model = small(backbone)
    names = [layer.name for layer in model.layers]
    assert ("normalization" in names) == (channels == 3)
    scores = model.predict_on_batch(images(1, 32, 32, channels))
    assert scores.shape == (1, 32, 32, 3)
