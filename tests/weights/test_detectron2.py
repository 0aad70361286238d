"""Files of detectron2: whose they are, and the order of their anchors."""

import math

import numpy as np

from keras_twins.detection.anchors import RETINANET_ANCHORS
from keras_twins.weights.detectron2 import is_detectron2
from keras_twins.weights.detectron2 import to_mmdetection


def test_they_are_recognised_by_backbone_and_head():
    names = ["bottom_up.blocks.0.0.norm1.bias", "head.cls_subnet.0.bias"]
    assert is_detectron2(names)
    assert not is_detectron2(names[:1])
    assert not is_detectron2(["head.weight", "blocks.0.0.norm1.bias"])


def test_the_anchors_come_in_the_order_of_mmdetection():
    """Sizes, then ratios there; the boxes stand for channels here."""
    boxes = []
    for size in (32 * 2 ** (i / 3) for i in range(3)):
        for ratio in (0.5, 1.0, 2.0):
            width = math.sqrt(size**2 / ratio)
            height = ratio * width
            sides = np.array([-width, -height, width, height])
            boxes.append(sides / 2)
    state = {"head.bbox_pred.bias": np.concatenate(boxes)}
    state, _ = to_mmdetection(state)
    expected = RETINANET_ANCHORS.base_anchors()[0]
    found = state["bbox_head.retina_reg.bias"].reshape(9, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_kernels_go_with_their_biases():
    values = np.arange(9 * 2, dtype="float32")
    state = {
        "head.cls_score.bias": values,
        "head.cls_score.weight": values[:, None, None, None]
        * np.ones((1, 3, 3)),
    }
    state, _ = to_mmdetection(state)
    bias = state["bbox_head.retina_cls.bias"]
    kernel = state["bbox_head.retina_cls.weight"]
    np.testing.assert_array_equal(kernel[:, 0, 0], bias[:, None] * np.ones(3))
    np.testing.assert_array_equal(bias[:6], [0, 1, 6, 7, 12, 13])
