import dataclasses

import pytest

from keras_twins.data import SegmentationAugmentation


def test_default_is_the_recipe():
    assert dataclasses.asdict(SegmentationAugmentation()) == {
        "scale": (2048, 512),
        "ratio_range": (0.5, 2.0),
        "crop_size": (512, 512),
        "cat_max_ratio": 0.75,
        "crop_tries": 10,
        "flip_rate": 0.5,
        "distortion_rate": 0.5,
        "brightness_delta": 32,
        "contrast_range": (0.5, 1.5),
        "saturation_range": (0.5, 1.5),
        "hue_delta": 18,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", (2048, 0)),
        ("scale", (2048.0, 512)),
        ("crop_size", (0, 512)),
        ("crop_size", (64.5, 64)),
        ("crop_size", (64,)),
        ("crop_size", 64),
        ("ratio_range", (2.0, 0.5)),
        ("contrast_range", (0.0, 0.5)),
        ("saturation_range", (1.5, 0.5)),
        ("flip_rate", 1.1),
        ("distortion_rate", -0.1),
        ("cat_max_ratio", 75),
        ("crop_tries", -1),
        ("brightness_delta", -1.0),
        ("hue_delta", 91),
    ],
)
def test_wrong_numbers_are_named(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be.*{name}="):
        SegmentationAugmentation(**{name: value})
