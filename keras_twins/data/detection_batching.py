"""Padding: pictures of several sizes and their objects as one batch."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from keras_twins.data.detection_example import DetectionExample
from keras_twins.data.segmentation_augmentation import is_size

SIZE_DIVISOR = 32
"""Pictures are padded to multiples of it, the coarsest stride of backbones."""

_NO_LABEL = -1
"""Label where there is no object."""


@dataclasses.dataclass(frozen=True)
class Field:
    """One entry of a batch.

    Args:
        name: Name of the entry.
        dtype: Its dtype.
        shape: Shape of one picture's part, padded; none for what differs from
            batch to batch.
        padding: What it is padded with.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    padding: int = 0


@dataclasses.dataclass(frozen=True)
class BatchFormat:
    """What a padded batch of `b` pictures has.

    Args:
        max_boxes: Number of places for objects, `g`.
        with_boxes: Whether there are `boxes`, `labels` and `valid`.
        with_masks: Whether there are `masks`.
        with_ids: Whether there are `image_ids` and `original_sizes`.
        fixed_size: Height and width of all batches, or none for the smallest
            multiples of 32 that hold the pictures of the batch.

    Raises:
        ValueError: If `max_boxes` or `fixed_size` is out of range, or masks
            are asked for without boxes.
    """

    max_boxes: int = 100
    with_boxes: bool = True
    with_masks: bool = False
    with_ids: bool = False
    fixed_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.max_boxes < 1:
            raise ValueError(
                "`max_boxes` must be at least 1. Received: "
                f"max_boxes={self.max_boxes}"
            )
        if self.with_masks and not self.with_boxes:
            raise ValueError(
                "`with_masks` needs `with_boxes`: a mask belongs to a box."
            )
        size = self.fixed_size
        if size is not None and not (
            is_size(size) and not any(side % SIZE_DIVISOR for side in size)
        ):
            raise ValueError(
                "`fixed_size` must be height and width, multiples of "
                f"{SIZE_DIVISOR}. Received: fixed_size={size}"
            )

    def fields(self) -> list[Field]:
        """Returns what there is of each picture.

        Returns:
            The entries of a batch.
        """
        size = self.fixed_size or (None, None)
        count = self.max_boxes
        found = [
            Field("images", "uint8", (*size, 3)),
            Field("image_sizes", "int32", (2,)),
        ]
        if self.with_boxes:
            found += [
                Field("boxes", "float32", (count, 4)),
                Field("labels", "int32", (count,), _NO_LABEL),
                Field("valid", "bool", (count,)),
            ]
        if self.with_masks:
            found.append(Field("masks", "bool", (count, *size)))
        if self.with_ids:
            found += [
                Field("image_ids", "int64", ()),
                Field("original_sizes", "int32", (2,)),
            ]
        return found

    def values(
        self, example: DetectionExample, original_size: tuple[int, int]
    ) -> list[np.ndarray]:
        """Pads a picture as far as it can be padded by itself.

        Args:
            example: The picture, resized.
            original_size: Height and width of what was read.

        Returns:
            The values of `fields`, in their order.

        Raises:
            ValueError: If the picture has too many objects or does not fit.
        """
        count = len(example.labels)
        if self.with_boxes:
            check_count(example.name, count, self.max_boxes)
        return list(self._values(example, original_size, self._size(example)))

    def _size(self, example: DetectionExample) -> tuple[int, int]:
        """Returns the size that a picture is padded to."""
        height, width = example.size
        if self.fixed_size is None:
            return rounded_up(height), rounded_up(width)
        if height > self.fixed_size[0] or width > self.fixed_size[1]:
            raise ValueError(
                "`fixed_size` must hold every picture, standing ones and lying "
                f"ones. Received: fixed_size={self.fixed_size}, and "
                f"{example.name} has {example.size}"
            )
        return self.fixed_size

    def _values(
        self,
        example: DetectionExample,
        original_size: tuple[int, int],
        size: tuple[int, int],
    ) -> Iterator[np.ndarray]:
        below, right = np.subtract(size, example.size).tolist()
        edges = [(0, below), (0, right)]
        yield np.pad(example.image, [*edges, (0, 0)])
        yield np.array(example.size, "int32")
        if self.with_boxes:
            yield example.boxes
            yield example.labels
            yield np.ones(len(example.labels), bool)
        if self.with_masks:
            if example.masks is None:
                raise ValueError(
                    f"`with_masks` needs masks; {example.name} has none."
                )
            yield np.pad(example.masks, [(0, 0), *edges])
        if self.with_ids:
            yield np.array(example.image_id, "int64")
            yield np.array(original_size, "int32")


def check_count(name: str, count: int, max_boxes: int) -> None:
    """Makes sure that all objects of a picture have a place.

    Args:
        name: What the picture is called.
        count: Number of its objects.
        max_boxes: Number of places.

    Raises:
        ValueError: If there are too many.
    """
    if count > max_boxes:
        raise ValueError(
            f"`max_boxes` must be at least {count}, the number of boxes in "
            f"{name}. Received: max_boxes={max_boxes}"
        )


def rounded_up(side: int) -> int:
    """Returns the side of a batch that has room for a picture.

    Args:
        side: Height or width of the picture in pixels.

    Returns:
        The next multiple of `SIZE_DIVISOR`.
    """
    return -(-side // SIZE_DIVISOR) * SIZE_DIVISOR
