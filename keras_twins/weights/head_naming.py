"""What whole models of segmentation and detection are, by their tensors."""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Literal

from keras_twins.weights.detection_heads import DETECTION_HEADS
from keras_twins.weights.detection_heads import DetectionHead
from keras_twins.weights.naming import Pair
from keras_twins.weights.naming import Rows
from keras_twins.weights.segmentation_heads import AUXILIARY_HEAD
from keras_twins.weights.segmentation_heads import SEGMENTATION_HEADS
from keras_twins.weights.segmentation_heads import SegmentationHead

DenseHead = SegmentationHead | DetectionHead
Task = Literal["segmentation", "detection"]

_TABLES: Mapping[str, Rows] = {**SEGMENTATION_HEADS, **DETECTION_HEADS}

_MARKS: Mapping[DenseHead, str] = {
    "semantic_fpn": "decode_head.scale_heads.",
    "upernet": "decode_head.psp_modules.",
    "retinanet": "bbox_head.retina_",
    "mask_rcnn": "roi_head.mask_head.",
}
"""How some tensor's name starts in files of one model alone."""


def head_pairs(head: DenseHead, *, auxiliary: bool = False) -> list[Pair]:
    """Returns every pair of tensor and weight of a head.

    Args:
        head: Which head.
        auxiliary: Whether there is an auxiliary head.

    Returns:
        A list of `Pair`s.
    """
    rows = (*_TABLES[head], *(AUXILIARY_HEAD if auxiliary else ()))
    return [
        Pair(f"{source}.{name}", f"{path}/{variable}", transform)
        for source, path, parameters in rows
        for name, variable, transform in parameters
    ]


def head_layers() -> tuple[str, ...]:
    """Returns the names of the layers that hold the heads' weights.

    Returns:
        First parts of the paths of variables, such as `"neck"`.
    """
    rows = (
        *AUXILIARY_HEAD,
        *(row for rows in _TABLES.values() for row in rows),
    )
    return tuple(dict.fromkeys(path.partition("/")[0] for _, path, _ in rows))


def head_task(head: DenseHead) -> Task:
    """Returns what a head is for.

    Args:
        head: Which head.

    Returns:
        `"segmentation"` or `"detection"`.
    """
    return "detection" if head in DETECTION_HEADS else "segmentation"


def recognise_head(names: Iterable[str]) -> DenseHead | None:
    """Returns what a file of a dense model holds.

    Args:
        names: Names of its tensors, in the naming of OpenMMLab.

    Returns:
        `"semantic_fpn"`, `"upernet"`, `"retinanet"` or `"mask_rcnn"`; `None`
        for anything else.
    """
    names = tuple(names)
    for head, mark in _MARKS.items():
        if any(name.startswith(mark) for name in names):
            return head
    return None
