"""From data sets to examples in `tf.data`, whatever the data set is."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

import numpy as np

from keras_twins.data.detection_batching import BatchFormat
from keras_twins.data.detection_example import DetectionDataset
from keras_twins.data.detection_example import DetectionExample
from keras_twins.data.detection_example import learnable
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

Change = Callable[[DetectionExample, int], DetectionExample]
"""What is done to the example of a number."""

Reader = Callable[..., DetectionExample]
"""From what a stream holds, as arrays, to an example."""

Examples: TypeAlias = "tuple[tf.data.Dataset, Reader]"
"""Tuples, and what makes examples of them."""

_RANKS = {"image": 3, "boxes": 2, "labels": 1}
_OPTIONAL_RANKS = {"crowd": 1, "image_id": 0, "masks": 3}


def read_dataset(
    dataset: DetectionDataset, with_masks: bool, order: "tf.data.Dataset"
) -> "Examples":
    """Reads pictures when their turn comes.

    The first one is read at once: what is wrong with all, such as packages or
    masks that are missing, shows early.

    Args:
        dataset: The pictures.
        with_masks: Whether to read masks.
        order: Numbers of the pictures to read.

    Returns:
        A `tf.data.Dataset` of tuples, and what makes examples of them.
    """
    dataset.example(0, with_masks)

    def read(index: Any) -> DetectionExample:
        return dataset.example(int(index), with_masks)

    return order.map(lambda index: (index,)), read


def read_stream(stream: "tf.data.Dataset", with_masks: bool) -> "Examples":
    """Reads a `tf.data.Dataset` of dicts.

    Args:
        stream: Elements as `detection_batches` takes them.
        with_masks: Whether to read masks.

    Returns:
        A `tf.data.Dataset` of tuples, and what makes examples of them.

    Raises:
        ValueError: If the elements are others.
    """
    spec: Any = stream.element_spec
    _check(spec, with_masks)
    left_out = set() if with_masks else {"masks"}
    names = [
        name
        for name in (*_RANKS, *_OPTIONAL_RANKS)
        if name in spec and name not in left_out
    ]

    def read(*arrays: np.ndarray) -> DetectionExample:
        return _example(dict(zip(names, arrays, strict=True)))

    return stream.map(lambda one: tuple(one[name] for name in names)), read


def batched(
    examples: "Examples",
    change: Change,
    form: BatchFormat,
    batch_size: int,
    start: int = 0,
    drop_remainder: bool = True,
) -> "tf.data.Dataset":
    """Reads, changes, pads and batches examples.

    Args:
        examples: What `read_dataset` or `read_stream` returns.
        change: What is done to each example.
        form: What a batch has.
        batch_size: Examples in a batch.
        start: Number of the first example.
        drop_remainder: Whether to leave out a last batch that is not full.

    Returns:
        A `tf.data.Dataset` of dicts.
    """
    import tensorflow as tf

    stream, read = examples
    fields = form.fields()

    def values(number: Any, *arrays: Any) -> list[np.ndarray]:
        try:
            example = read(*arrays)
        # TensorFlow would call it an unknown error.
        except OSError as error:
            raise ValueError(f"Cannot read a picture: {error}") from error
        return form.values(change(example, int(number)), example.size)

    def process(number: Tensor, arrays: tuple[Tensor, ...]) -> dict[str, Any]:
        types = [field.dtype for field in fields]
        found = tf.numpy_function(values, [number, *arrays], types)
        for field, value in zip(fields, found, strict=True):
            value.set_shape([None] * len(field.shape))
        return {
            field.name: value
            for field, value in zip(fields, found, strict=True)
        }

    shapes: Any = {field.name: field.shape for field in fields}
    paddings = {
        field.name: np.array(field.padding, field.dtype) for field in fields
    }
    batches = map_in_order(stream.enumerate(start), process).padded_batch(
        batch_size, shapes, paddings, drop_remainder=drop_remainder
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def _check(spec: Any, with_masks: bool) -> None:
    needed = dict(_RANKS)
    if with_masks:
        needed["masks"] = _OPTIONAL_RANKS["masks"]
    good = isinstance(spec, dict) and all(name in spec for name in needed)
    if good:
        ranks = {**_RANKS, **_OPTIONAL_RANKS}
        good = all(
            spec[name].shape.rank == rank
            for name, rank in ranks.items()
            if name in spec
        )
        good = good and spec["image"].dtype == "uint8"
        good = good and spec["labels"].dtype.is_integer
    if not good:
        raise ValueError(
            '`dataset` must have the elements {"image": (height, width, 3), '
            'uint8, "boxes": (n, 4), "labels": (n,), integers}, not batched, '
            f'with_masks={with_masks}: "masks": (n, height, width) are '
            f"{'needed' if with_masks else 'not needed'}. Received: {spec}"
        )


def _example(arrays: dict[str, np.ndarray]) -> DetectionExample:
    """Returns what is trained on of an element of a stream."""
    image, boxes = arrays["image"], arrays["boxes"].astype("float32")
    number = int(arrays.get("image_id", 0))
    name = f"image {number}" if "image_id" in arrays else "an image"
    labels, masks = arrays["labels"], arrays.get("masks")
    shapes = [one.shape for one in (boxes, labels)]
    good = boxes.shape == (len(labels), 4) and image.shape[-1] == 3
    if masks is not None:
        shapes.append(masks.shape)
        good = good and masks.shape == (len(labels), *image.shape[:2])
    if not good or not np.isfinite(boxes).all() or labels.min(initial=0) < 0:
        raise ValueError(
            "Every object must have a box of four finite numbers, a label from "
            "0, and a mask of the size of the picture if there are any. "
            f"Received: shapes {shapes} and labels {labels} in {name} of shape "
            f"{image.shape}"
        )
    keep = learnable(boxes, image.shape[:2])
    if "crowd" in arrays:
        keep &= ~arrays["crowd"]
    return DetectionExample(
        image=image,
        boxes=boxes,
        labels=labels.astype("int32"),
        masks=None if masks is None else masks.astype(bool),
        image_id=number,
        name=name,
    ).only(keep)
