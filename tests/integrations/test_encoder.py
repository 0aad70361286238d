"""What a head refuses, before any library is asked."""

import dataclasses

import keras
import pytest

import keras_twins
from keras_twins.integrations.encoder import DEEPLAB
from keras_twins.integrations.encoder import SEGFORMER
from keras_twins.integrations.encoder import make_encoder
from tests.integrations.heads import CONFIG
from tests.integrations.heads import backbone


def encoder(given, rule=DEEPLAB, num_classes=3, image_shape=(64, 64, 3)):
    return make_encoder(given, rule, num_classes, None, image_shape)


def test_name_gives_backbone_without_weights_that_no_head_reads(monkeypatch):
    monkeypatch.setitem(keras_twins.VARIANTS, "svt_small", CONFIG)
    made = encoder("svt_small")
    assert made.image_shape == (64, 64, 3)
    assert "norm" not in [layer.name for layer in made.layers]


def test_backbone_is_taken_as_it_is():
    given = backbone()
    assert encoder(given) is given


@pytest.mark.parametrize("num_classes", [0, -1, 2.0, None])
def test_number_of_classes(num_classes):
    with pytest.raises(ValueError, match="`num_classes` must be an integer"):
        encoder(backbone(), num_classes=num_classes)


@pytest.mark.parametrize(
    "given", [None, keras.layers.Dense(1), keras.Sequential()]
)
def test_other_things_are_no_backbone(given):
    with pytest.raises(ValueError, match="`backbone` must be a variant's name"):
        encoder(given)


def test_unknown_name():
    with pytest.raises(ValueError, match="`variant` must be one of"):
        encoder("svt_tiny")


def test_deeplab_needs_sides_that_fit():
    with pytest.raises(ValueError, match="multiples of 32.*80, 64"):
        encoder(backbone(image_shape=(80, 64, 3)))
    with pytest.raises(ValueError, match="multiples of 32"):
        encoder("svt_small", image_shape=(64, 65, 3))
    encoder(backbone(image_shape=(None, None, 3)))


def test_segformer_needs_known_sides():
    with pytest.raises(ValueError, match="known size.*None, 64"):
        encoder(backbone(image_shape=(None, 64, 3)), SEGFORMER)
    encoder(backbone(image_shape=(80, 64, 3)), SEGFORMER)


def test_deeplab_needs_the_usual_strides():
    config = dataclasses.replace(CONFIG, patch_sizes=(2, 2, 2, 2))
    given = keras_twins.TwinsBackbone(config, (64, 64, 3))
    with pytest.raises(ValueError, match=r"strides 4 to 32.*\(2, 2, 2, 2\)"):
        encoder(given, DEEPLAB)
    encoder(given, SEGFORMER)


def test_segformer_needs_different_channels():
    config = dataclasses.replace(
        CONFIG, embed_dims=(8, 16, 16, 32), num_heads=(1, 2, 2, 4)
    )
    given = keras_twins.TwinsBackbone(config, (64, 64, 3))
    with pytest.raises(ValueError, match="different channels"):
        encoder(given, SEGFORMER)
