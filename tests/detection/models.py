"""Small detectors and batches for them, shared by the tests of detection."""

import dataclasses

import numpy as np

from keras_twins import TwinsBackbone
from keras_twins.detection import MaskRCNN
from keras_twins.detection import RetinaNet
from tests.tiny import MINIMAL
from tests.tiny import randomise

CONFIG = dataclasses.replace(MINIMAL, output_norms=True)
SMALL = {
    RetinaNet: {"filters": 8, "max_detections": 10},
    MaskRCNN: {
        "filters": 8,
        "units": 16,
        "max_detections": 5,
        "num_proposals": 20,
        "num_samples": 16,
    },
}
CLASSES = 4


def build(cls, image_shape=(64, 96, 3), **kwargs):
    """Returns a detector of four classes whose weights all have a value."""
    dtype = kwargs.get("dtype")
    backbone = TwinsBackbone(CONFIG, image_shape, final_norm=False, dtype=dtype)
    model = cls(backbone, CLASSES, **{**SMALL[cls], **kwargs})
    randomise(model)
    return model


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, shape).astype("float32")


def batch(size: int = 2, height: int = 64, width: int = 96) -> dict:
    """Returns images with three boxes each, one of them padding."""
    boxes = np.array(
        [[8, 8, 40, 32], [50, 20, 90, 60], [0, 0, 0, 0]], "float32"
    )
    masks = np.zeros((size, 3, height, width), bool)
    masks[:, 0, 8:32, 8:40] = True
    masks[:, 1, 30:60, 50:90] = True
    return {
        "images": pixels(size, height, width, 3),
        "boxes": np.tile(boxes, (size, 1, 1)),
        "labels": np.tile(np.array([[0, 3, 0]], "int32"), (size, 1)),
        "valid": np.tile(np.array([[True, True, False]]), (size, 1)),
        "masks": masks,
    }
