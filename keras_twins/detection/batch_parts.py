"""What batches consist of, and whether their parts fit each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins.detection.batch_checks import check_counts
from keras_twins.detection.batch_checks import check_labels
from keras_twins.detection.batch_checks import check_shape
from keras_twins.detection.batch_checks import kind

LABELS = ("labels", "classes")
"""Names of the labels, here and in KerasCV."""

MASKS = ("masks", "segmentation_masks")
"""Names of the masks, here and in Keras."""

_BOXES = "bounding_boxes"
_SIZES = ("image_sizes", "original_sizes")
_ADVICE = (
    "`fit` takes a dictionary of `images`, `boxes`, `labels` and `valid`, or "
    "`(images, {'boxes': ..., 'labels': ...})` with padding of class -1."
)


def checked_arrays(x: Any, y: Any = None) -> tuple[Any, Any]:
    """Returns what Keras' methods are given, after a look at arrays.

    A graph may no longer know their sizes, and Keras names none of them.

    Args:
        x: A dictionary of arrays, or images; anything else, such as a data
            set, is returned as it is.
        y: Boxes of KerasCV or KerasHub.

    Returns:
        Both, with arrays in place of lists.

    Raises:
        ValueError: If the arrays are no batch, whatever its size.
    """
    if not isinstance(x, Mapping) and not hasattr(x, "shape"):
        return x, y
    x, y = _without_lists(x), _without_lists(y)
    inputs, targets = split_parts((x, y))
    if targets is None and "boxes" in inputs:
        targets = inputs
    if targets is not None:
        check_targets(inputs, targets)
    return x, y


def split_parts(
    data: Any,
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Returns what there is of images, and KerasCV's or KerasHub's boxes.

    Args:
        data: See `keras_twins.detection.as_batch`.

    Returns:
        A dictionary with images, and one of boxes or `None`.

    Raises:
        ValueError: If there are no images, or there is something else.
    """
    inputs, targets = _pair(data)
    if not isinstance(inputs, Mapping):
        inputs = {"images": inputs}
    if "images" not in inputs:
        raise ValueError(
            f"A batch has no key 'images'. {_ADVICE} Received: keys "
            f"{sorted(inputs)}"
        )
    axes = "(batch, height, width, channels)"
    check_shape("images", inputs["images"], axes, (None,) * 4)
    if targets is None and _BOXES in inputs:
        inputs = dict(inputs)
        targets = inputs.pop(_BOXES)
    if targets is not None and not isinstance(targets, Mapping):
        raise ValueError(
            "The second part of a batch must be a dictionary of 'boxes' and "
            f"'labels'. {_ADVICE} Received: {kind(targets)}"
        )
    return inputs, targets


def check_targets(inputs: Mapping[str, Any], targets: Mapping[str, Any]) -> str:
    """Raises an error if boxes do not fit the images, or each other.

    Args:
        inputs: Dictionary with `images`.
        targets: Dictionary of boxes, perhaps the same.

    Returns:
        The key of the labels.

    Raises:
        ValueError: If a key is missing, or what it holds has another shape.
    """
    key = key_of(targets, LABELS)
    if "boxes" not in targets or key is None:
        missing = "boxes" if "boxes" not in targets else "labels' or 'classes"
        raise ValueError(
            f"The boxes of a batch have no key '{missing}'. {_ADVICE} "
            f"Received: keys {sorted(targets)}"
        )
    size, *area = inputs["images"].shape[:3]
    boxes = targets["boxes"]
    check_shape("boxes", boxes, "(batch, boxes, 4)", (size, None, 4))
    check_shape(key, targets[key], "(batch, boxes)", (size, None))
    check_labels(key, targets[key])
    parts = {"boxes": boxes, key: targets[key]}
    if "valid" in targets:
        parts["valid"] = targets["valid"]
        check_shape("valid", parts["valid"], "(batch, boxes)", (size, None))
    if masks := key_of(targets, MASKS):
        parts[masks] = targets[masks]
        axes = "(batch, boxes, height, width)"
        check_shape(masks, parts[masks], axes, (size, None, *area))
    check_counts(parts)
    for name in _SIZES:
        if name in inputs:
            check_shape(name, inputs[name], "(batch, 2)", (size, 2))
    return key


def key_of(targets: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Returns which of some keys a dictionary has.

    Args:
        targets: The dictionary.
        names: The keys.

    Returns:
        The key, `None` without any.

    Raises:
        ValueError: If it has several.
    """
    found = [name for name in names if name in targets]
    if len(found) > 1:
        raise ValueError(
            f"The boxes of a batch must have one of the keys {names}. "
            f"Received: {found}"
        )
    return found[0] if found else None


def _pair(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, tuple | list):
        return data, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"A batch must have one or two parts. {_ADVICE} Received: "
            f"{len(data)} parts"
        )
    inputs, targets, weights = (*data, None, None)[:3]
    if weights is not None:
        raise ValueError(
            "Detectors take no sample weights. Leave out what should not "
            "count: mark its boxes as padding, with class -1. Received: "
            f"sample weights, {kind(weights)}"
        )
    return inputs, targets


def _without_lists(data: Any) -> Any:
    """Returns arrays for the lists of a dictionary, however deep."""
    if not isinstance(data, Mapping):
        return data
    return {key: _as_array(key, value) for key, value in data.items()}


def _as_array(key: str, value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return _without_lists(value)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"'{key}' must be an array, or lists of the same length. Pad those "
            "of images with fewer boxes, with the label -1. Received: "
            f"{kind(value)} of {len(value)}: {error}"
        ) from error
