import dataclasses

import pytest

from keras_twins.data.classification.augmentation import LIGHT
from keras_twins.data.classification.augmentation import TWINS_IMAGENET
from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.data.classification.augmentation import RandAugment


def test_recipe_of_the_paper():
    wanted = {
        "size": 224,
        "scale": (0.08, 1.0),
        "ratio": (3 / 4, 4 / 3),
        "interpolation": "bicubic",
        "flip_rate": 0.5,
        "rand_augment": RandAugment(9, 0.5, 2, 0.5),
        "color_jitter": 0.4,
        "erasing_rate": 0.25,
        "mixup": 0.8,
        "cutmix": 1.0,
        "mix_rate": 1.0,
        "switch_rate": 0.5,
        "label_smoothing": 0.1,
        "mix_group": 128,
    }
    assert ImageAugmentation(**wanted) == TWINS_IMAGENET
    assert dataclasses.replace(TWINS_IMAGENET, mix_group=None) == (
        ImageAugmentation()
    )


def test_light_augmentation_crops_and_mirrors_only():
    assert LIGHT.rand_augment is None
    assert not LIGHT.mixes
    assert (LIGHT.color_jitter, LIGHT.erasing_rate) == (0, 0)
    assert (LIGHT.scale, LIGHT.flip_rate) == ((0.08, 1.0), 0.5)
    assert LIGHT.label_smoothing == 0.1


@pytest.mark.parametrize(
    ("change", "mixes"),
    [
        ({}, True),
        ({"mixup": 0.0}, True),
        ({"cutmix": 0.0}, True),
        ({"mixup": 0.0, "cutmix": 0.0}, False),
        ({"mix_rate": 0.0}, False),
    ],
)
def test_what_mixes(change, mixes):
    assert ImageAugmentation(**change).mixes == mixes


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("size", 0, "a positive integer"),
        ("size", 2.5, "a positive integer"),
        ("scale", (0.0, 1.0), "0 < low <= high <= 1"),
        ("scale", (0.5, 1.5), "0 < low <= high <= 1"),
        ("scale", 0.5, "(low, high)"),
        ("ratio", (2.0, 1.0), "0 < low <= high"),
        ("interpolation", "nearest", "bicubic or bilinear"),
        ("flip_rate", 1.5, "from 0 to 1"),
        ("erasing_rate", -0.1, "from 0 to 1"),
        ("mix_rate", 2, "from 0 to 1"),
        ("switch_rate", -1, "from 0 to 1"),
        ("color_jitter", -0.1, "at least 0"),
        ("mixup", float("inf"), "finite"),
        ("cutmix", float("nan"), "finite"),
        ("label_smoothing", 1.0, "less than 1"),
        ("mix_group", 0, "a positive integer, or None"),
    ],
)
def test_values_out_of_range(name, value, what):
    with pytest.raises(ValueError, match=f"`{name}` must be") as caught:
        ImageAugmentation(**{name: value})
    assert what in str(caught.value)
    assert f"Received: {name}={value!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("magnitude", 11),
        ("magnitude", -1),
        ("deviation", -0.5),
        ("layers", 0),
        ("rate", 1.1),
    ],
)
def test_rand_augment_out_of_range(name, value):
    message = f"`{name}` must be .* Received: {name}={value}"
    with pytest.raises(ValueError, match=message):
        RandAugment(**{name: value})
