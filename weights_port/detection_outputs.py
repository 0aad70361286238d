"""The outputs of detectors beside those of mmdetection's, one by one."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_twins.backbone.pyramid import feature_extractor
from keras_twins.detection.mask_rcnn import MaskRCNN
from keras_twins.detection.retinanet import RetinaNet
from keras_twins.detection.roi_align import pool_regions
from weights_port.parity import compare_output

Detections = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes, scores and labels, the best first."""

_NEAR = 0.5
"""Pixels within which a box is the other's."""


class Measured(NamedTuple):
    """One output: the largest difference, also over its deviation."""

    output: str
    difference: float
    relative: float


@dataclasses.dataclass(frozen=True)
class Arrays:
    """The stored outputs of a case.

    Args:
        outputs: Entries of `outputs` in the manifest, by name.
        numbers: The arrays of the manifest.
    """

    outputs: Mapping[str, Mapping[str, Any]]
    numbers: Any

    def __getitem__(self, name: str) -> np.ndarray:
        return self.numbers[self.outputs[name]["npz_key"]]

    def measure(self, own_name: str, name: str, found: Any) -> Measured:
        """Returns how far an output is from the stored one."""
        output = self.outputs[name]
        difference = compare_output(found, output, self[name])
        return Measured(own_name, difference, difference / output["std"])


def measure_case(
    model: RetinaNet | MaskRCNN, batch: Mapping[str, Any], arrays: Arrays
) -> Iterator[Measured]:
    """Compares what a model says of a batch with the stored outputs.

    Args:
        model: The model.
        batch: Images and their sizes.
        arrays: The stored outputs.

    Yields:
        What `measure_detection` makes rows of.
    """
    images = batch["images"]
    raw = _outputs(model).predict_on_batch(images)
    for level, x in enumerate(raw["neck"]):
        yield arrays.measure(f"neck{level}", f"fpn{level}", x)
    if isinstance(model, RetinaNet):
        maps = feature_extractor(model.backbone).predict_on_batch(images)
        for level, x in enumerate(maps):
            name = f"stage{level + 1}"
            yield arrays.measure(name, f"backbone{level}", x)
        yield from _maps(raw, arrays, ("logits", "cls"), ("deltas", "reg"))
    else:
        yield from _maps(
            raw,
            arrays,
            ("logits", "rpn_cls"),
            ("deltas", "rpn_reg"),
            prefix="rpn_",
        )
        yield from _regions(model, raw["maps"], arrays)
    yield from _detections(model.predict_on_batch(batch), arrays)


def _outputs(model: RetinaNet | MaskRCNN) -> keras.Model:
    """Returns a model of all that is compared before anything is decoded."""
    neck = model.get_layer("neck").output
    outputs = keras.Model(model.inputs[0], {**model.output, "neck": neck})
    outputs.compile()
    return outputs


def _maps(
    raw: Mapping[str, Any],
    arrays: Arrays,
    *pairs: tuple[str, str],
    prefix: str = "",
) -> Iterator[Measured]:
    for own, stored in pairs:
        for level, x in enumerate(raw[own]):
            name = f"{prefix}{own}{level}"
            yield arrays.measure(name, f"{stored}{level}", x)


class _RegionOutputs(keras.Model):
    """What the heads of Mask R-CNN say of given boxes, by manifest name."""

    def __init__(self, model: MaskRCNN):
        # TensorFlow takes no name that begins with an underscore.
        super().__init__(name="region_outputs")
        self.box_head = model.box_head
        self.mask_head = model.mask_head

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        maps, boxes = inputs["maps"], inputs["boxes"]
        regions = pool_regions(maps, boxes, 7)
        logits, deltas = self.box_head(regions)
        wider = pool_regions(maps, boxes, 14)
        found = {
            "bbox_feats": regions,
            "cls_score": logits,
            "bbox_pred": deltas,
            "mask_feats": wider,
            "mask_preds": self.mask_head(wider),
        }
        return {name: x[0] for name, x in found.items()}


_REGION_NAMES = {
    "bbox_feats": "pooled",
    "cls_score": "logits",
    "bbox_pred": "deltas",
    "mask_feats": "mask_pooled",
    "mask_preds": "mask_logits",
}


def _regions(model: MaskRCNN, maps: Any, arrays: Arrays) -> Iterator[Measured]:
    boxes = arrays["fixed_boxes"].reshape(1, -1, 4)
    heads = _RegionOutputs(model)
    heads.compile()
    found = heads.predict_on_batch({"maps": list(maps), "boxes": boxes})
    for name, own_name in _REGION_NAMES.items():
        yield arrays.measure(own_name, name, found[name])


def _detections(
    found: Mapping[str, np.ndarray], arrays: Arrays
) -> Iterator[Measured]:
    expected = arrays["detections"].reshape(-1, 5)
    labels = arrays["detections_labels"]
    valid = found["valid"][0]
    boxes, scores, own_labels = (
        found[name][0][valid] for name in ("boxes", "scores", "labels")
    )
    matches = match_detections(
        (expected[:, :4], expected[:, 4], labels), (boxes, scores, own_labels)
    )
    first, second = np.array(matches, int).reshape(-1, 2).T
    unmatched = max(len(expected), len(boxes)) - len(matches)
    share = unmatched / max(len(expected), 1)
    yield Measured("detections", share, share)
    pixels = _furthest(expected[first, :4], boxes[second])
    yield Measured("boxes", pixels, pixels / float(expected[:, :4].std()))
    # Probabilities: the best have scores that hardly differ.
    difference = _furthest(expected[first, 4], scores[second])
    yield Measured("scores", difference, difference)


def _furthest(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).max(initial=0.0))


def match_detections(
    expected: Detections, found: Detections
) -> list[tuple[int, int]]:
    """Pairs detections of the same object.

    Neighbours with scores that are equal but for the last digits may come in
    any order.

    Args:
        expected: Those of the original.
        found: Those of this package.

    Returns:
        Pairs of positions in `expected` and in `found`: of the same label,
        with all sides within half a pixel, of which the nearest.
    """
    pairs, free = [], np.ones(len(found[0]), bool)
    for index, (box, label) in enumerate(
        zip(expected[0], expected[2], strict=True)
    ):
        distances = np.abs(found[0] - box).max(axis=1, initial=0.0)
        distances[~free | (found[2] != label)] = np.inf
        if len(distances) and distances.min() < _NEAR:
            nearest = int(distances.argmin())
            free[nearest] = False
            pairs.append((index, nearest))
    return pairs
