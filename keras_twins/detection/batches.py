"""Batches that detectors train on, in the package's form and in Keras'.

The package's form is one dictionary: `images`, `boxes` (x1, y1, x2, y2 in
pixels), `labels`, `valid`, and `masks`. KerasCV and KerasHub have images, and
beside them a dictionary of boxes with padding of class -1.

Shape suffixes: B batch, G boxes, H height, W width.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_twins.detection.batch_parts import LABELS
from keras_twins.detection.batch_parts import MASKS
from keras_twins.detection.batch_parts import check_targets
from keras_twins.detection.batch_parts import key_of
from keras_twins.detection.batch_parts import split_parts
from keras_twins.detection.box_formats import from_xyxy
from keras_twins.detection.box_formats import to_xyxy
from keras_twins.ops import Size
from keras_twins.ops import Tensor

Batch = dict[str, Tensor]

_PADDED = ("boxes", "labels", "valid", "masks")


def as_batch(data: Any, bounding_box_format: str = "xyxy") -> Batch:
    """Returns a batch as the package's detectors take it.

    Args:
        data: One of these, where boxes have the shape `(batch, boxes, 4)`,
            labels `(batch, boxes)` and masks `(batch, boxes, height, width)`:

            - a dictionary with `images` and, to train, `boxes` (x1, y1, x2,
              y2 in pixels) and `labels`; `valid` says which of the boxes
              there are, `masks` and other keys are optional;
            - a pair of images, or of a dictionary of them, and the boxes of
              KerasCV or KerasHub: a dictionary with `boxes`, `labels` or
              `classes`, and perhaps `masks` or `segmentation_masks`;
            - a dictionary with `images` and such boxes as `bounding_boxes`,
              as Keras' augmentation layers have it;
            - images alone.
        bounding_box_format: Format of the boxes, but of those in the
            package's own dictionary: one of `box_formats.FORMATS`. Relative
            ones are relative to the height and width of the images.

    Returns:
        Dictionary with `images`; if there are boxes, with `boxes` (x1, y1,
        x2, y2 in pixels, float32, zeros where they are padding), `labels`
        (int32), `valid` (bool) and, where they are given, `masks` (bool:
        what is not 0). A label below 0 marks padding. There is at least one
        box, if only padding.

    Raises:
        ValueError: If a key is missing, a shape is wrong, the format is
            unknown, boxes are ragged, or there are sample weights.

    Example:

    ```python
    from keras_twins.detection.batches import as_batch

    images = numpy.zeros((1, 64, 96, 3))
    boxes = numpy.array([[[0.5, 0.5, 0.25, 0.25], [-1, -1, -1, -1]]])
    classes = numpy.array([[2, -1]])
    batch = as_batch(
        (images, {"boxes": boxes, "classes": classes}), "rel_xywh"
    )
    ```
    """
    inputs, targets = split_parts(data)
    if targets is None:
        own = "boxes" in inputs
        return _with_targets(inputs, inputs, "xyxy") if own else dict(inputs)
    return _with_targets(inputs, targets, bounding_box_format)


def to_keras_boxes(
    batch: Mapping[str, Tensor],
    bounding_box_format: str,
    labels_key: str = "labels",
) -> tuple[Tensor, Batch]:
    """Returns a batch as the detectors of KerasCV and KerasHub take it.

    Args:
        batch: Batch in the package's form; see `as_batch`.
        bounding_box_format: Format of the boxes to make, one of
            `box_formats.FORMATS`.
        labels_key: Name of the labels: `"labels"` as in KerasHub,
            `"classes"` as in KerasCV.

    Returns:
        Images, and a dictionary of `boxes` (float32), the labels (int32),
        both -1 where they are padding, and, where the batch has them,
        `masks`.

    Raises:
        ValueError: If the batch has no boxes, or a name is unknown.

    Example:

    ```python
    from keras_twins.detection.batches import to_keras_boxes

    batch = {
        "images": numpy.zeros((1, 64, 96, 3)),
        "boxes": numpy.array([[[8, 8, 40, 32], [0, 0, 0, 0]]]),
        "labels": numpy.array([[2, 0]]),
        "valid": numpy.array([[True, False]]),
    }
    images, boxes = to_keras_boxes(batch, "xywh", labels_key="classes")
    ```
    """
    if labels_key not in LABELS:
        raise ValueError(
            f"`labels_key` must be one of {LABELS}. Received: "
            f"labels_key={labels_key!r}"
        )
    batch = as_batch(batch)
    if "boxes" not in batch:
        raise ValueError(
            "`batch` has no key 'boxes', and nothing to convert. Received: "
            f"keys {sorted(batch)}"
        )
    images, valid_BG = batch["images"], batch["valid"]
    sizes = ops.shape(images)[1:3]
    boxes_BG4 = from_xyxy(batch["boxes"], bounding_box_format, sizes)
    targets = {
        "boxes": ops.where(valid_BG[..., None], boxes_BG4, -1.0),
        labels_key: ops.where(valid_BG, batch["labels"], -1),
    }
    if "masks" in batch:
        targets["masks"] = batch["masks"]
    return images, targets


def _with_targets(
    inputs: Mapping[str, Any], targets: Mapping[str, Any], source: str
) -> Batch:
    """Returns inputs and targets as one dictionary, after their checks."""
    key = check_targets(inputs, targets)
    sizes = ops.shape(inputs["images"])[1:3]
    boxes_BG4 = ops.cast(targets["boxes"], "float32")
    # Graphs may not know the sizes that the checks compare: other numbers of
    # labels than of boxes end here, where they would be repeated silently.
    count = ops.shape(boxes_BG4)[:2]
    labels_BG = ops.reshape(ops.cast(targets[key], "int32"), count)
    valid_BG = _valid(targets, labels_BG, count)
    boxes_BG4 = to_xyxy(boxes_BG4, source, sizes)
    batch = {
        **inputs,
        "boxes": ops.where(valid_BG[..., None], boxes_BG4, 0.0),
        "labels": ops.where(valid_BG, labels_BG, 0),
        "valid": valid_BG,
    }
    key = key_of(targets, MASKS)
    if key is not None:
        # Whatever is not 0: masks in files are of 0 and 255.
        masks = ops.convert_to_tensor(targets[key])
        masks = ops.not_equal(masks, ops.zeros((), masks.dtype))
        batch["masks"] = ops.reshape(masks, (*count, *sizes))
    return batch if targets["boxes"].shape[1] else _with_padding(batch)


def _with_padding(batch: Batch) -> Batch:
    """Returns a batch with one more box, which is padding.

    Where there is no box at all, nothing could be looked up.
    """
    return {
        key: ops.pad(x, ((0, 0), (0, 1), *((0, 0),) * (len(x.shape) - 2)))
        if key in _PADDED
        else x
        for key, x in batch.items()
    }


def _valid(
    targets: Mapping[str, Any], labels_BG: Tensor, count: Sequence[Size]
) -> Tensor:
    valid_BG = ops.greater_equal(labels_BG, 0)
    if "valid" not in targets:
        return valid_BG
    given_BG = ops.reshape(ops.cast(targets["valid"], "bool"), count)
    return ops.logical_and(valid_BG, given_BG)
