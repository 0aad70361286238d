import hashlib

import numpy as np

from keras_twins import ade20k


def test_there_are_150_classes_of_unique_names():
    names = ade20k.class_names()
    assert len(names) == ade20k.NUM_CLASSES == 150
    assert len(set(names)) == 150
    assert all(name == name.strip() and name for name in names)


def test_the_order_is_that_of_the_logits():
    names = ade20k.class_names()
    assert names[:3] == ("wall", "building", "sky")
    assert (names[12], names[44], names[149]) == (
        "person",
        "chest of drawers",
        "flag",
    )


def test_the_palette_is_that_of_the_benchmark():
    palette = ade20k.palette()
    assert palette.shape == (150, 3) and palette.dtype == np.uint8
    assert palette[0].tolist() == [120, 120, 120]
    assert palette[149].tolist() == [92, 0, 255]
    # Of `color150.mat`, which the benchmark publishes, row by row.
    digest = hashlib.sha256(palette.tobytes()).hexdigest()
    assert (
        digest
        == "ce475c9151035eff51f4cf27fd7d906959b1480f6d15b9423ae2417c1b23a0ed"
    )


def test_only_roads_and_skyscrapers_share_a_color():
    shared = {}
    for name, color in ade20k.classes():
        shared.setdefault(color, []).append(name)
    assert [v for v in shared.values() if len(v) > 1] == [
        ["road", "skyscraper"]
    ]


def test_a_palette_belongs_to_its_caller():
    ade20k.palette()[0] = 0
    assert ade20k.palette()[0].tolist() == [120, 120, 120]
