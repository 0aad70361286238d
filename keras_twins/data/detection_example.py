"""One picture with its boxes, and how it is resized, mirrored and cut."""

import dataclasses
from typing import Protocol

import numpy as np

from keras_twins.bilinear import resize

_SMALLEST_BOX = 1.0
"""Side in pixels below which a box is not learnt, as in mmdetection."""


@dataclasses.dataclass(frozen=True, eq=False)
class DetectionExample:
    """A picture and the objects in it.

    Args:
        image: Pixels of shape `(height, width, 3)`, `uint8`.
        boxes: Boxes `(x1, y1, x2, y2)` in pixels, `(n, 4)`, `float32`.
        labels: Classes of shape `(n,)`, `int32`.
        masks: Pixels of each object, `(n, height, width)`, `bool`, or none.
        image_id: Number of the picture.
        name: What errors call the picture.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None = None
    image_id: int = 0
    name: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.image.shape[:2]
        return height, width

    def only(self, keep: np.ndarray) -> "DetectionExample":
        """Leaves objects out.

        Args:
            keep: Which objects stay, `(n,)`, `bool`.

        Returns:
            The example with those objects.
        """
        if keep.all():
            return self
        return dataclasses.replace(
            self,
            boxes=self.boxes[keep],
            labels=self.labels[keep],
            masks=None if self.masks is None else self.masks[keep],
        )

    def resized(self, size: tuple[int, int]) -> "DetectionExample":
        """Resizes the picture bilinearly, masks to their nearest pixels.

        Args:
            size: New height and width.

        Returns:
            The example of that size, boxes cut to the picture.
        """
        if size == self.size:
            return self._clipped()
        height, width = self.size
        factors = np.array([size[1] / width, size[0] / height], "float32")
        masks = self.masks
        return dataclasses.replace(
            self,
            image=np.rint(resize(self.image, size)).astype("uint8"),
            boxes=self.boxes * np.tile(factors, 2),
            masks=None if masks is None else resize_masks(masks, size),
        )._clipped()

    def flipped(self) -> "DetectionExample":
        """Mirrors left and right.

        Returns:
            The mirrored example.
        """
        x1, y1, x2, y2 = self.boxes.T
        width = np.float32(self.size[1])
        return dataclasses.replace(
            self,
            image=self.image[:, ::-1],
            boxes=np.stack([width - x2, y1, width - x1, y2], axis=-1),
            masks=None if self.masks is None else self.masks[..., ::-1],
        )

    def cropped(
        self, top: int, left: int, height: int, width: int
    ) -> "DetectionExample":
        """Cuts a part out.

        Args:
            top: First row.
            left: First column.
            height: Number of rows.
            width: Number of columns.

        Returns:
            The part, with the objects whose boxes reach into it.
        """
        rows, columns = slice(top, top + height), slice(left, left + width)
        masks = self.masks
        return dataclasses.replace(
            self,
            image=self.image[rows, columns],
            boxes=self.boxes - np.tile(np.array([left, top], "float32"), 2),
            masks=None if masks is None else masks[:, rows, columns],
        )._clipped()

    def _clipped(self) -> "DetectionExample":
        """Cuts the boxes to the picture and drops those without area."""
        boxes = clip_boxes(self.boxes, self.size)
        return dataclasses.replace(self, boxes=boxes).only(_have_area(boxes))


class DetectionDataset(Protocol):
    """Pictures with boxes, read one by one.

    `CocoDataset` and `DigitScenes` are such data sets.
    """

    def __len__(self) -> int:
        """Returns the number of pictures."""
        ...

    def example(self, index: int, with_masks: bool = False) -> DetectionExample:
        """Reads a picture and what is to be learnt in it.

        Args:
            index: Number of the picture, from 0.
            with_masks: Whether to read the masks.

        Returns:
            The example.
        """
        ...

    def most_boxes(self) -> tuple[str, int]:
        """Returns the name of the picture with most boxes, and their number."""
        ...


def clip_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cuts boxes to a picture.

    Args:
        boxes: Boxes `(x1, y1, x2, y2)` in pixels, `(n, 4)`.
        size: Height and width of the picture.

    Returns:
        Boxes inside of it; those outside have no area.
    """
    height, width = size
    limits = np.array([width, height, width, height], boxes.dtype)
    return np.clip(boxes, 0, limits)


def learnable(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Tells which boxes are trained on, by the rules of mmdetection.

    Args:
        boxes: Boxes `(x1, y1, x2, y2)` in pixels, `(n, 4)`.
        size: Height and width of the picture.

    Returns:
        Which boxes have sides of a pixel or more and reach into the picture,
        `(n,)`, `bool`.
    """
    x1, y1, x2, y2 = boxes.T
    large = (x2 - x1 >= _SMALLEST_BOX) & (y2 - y1 >= _SMALLEST_BOX)
    return large & _have_area(clip_boxes(boxes, size))


def resize_masks(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes masks to the values of the nearest pixels, as OpenCV.

    Args:
        masks: Masks of shape `(n, height, width)`.
        size: New height and width.

    Returns:
        The masks of the new size, of the same dtype.
    """
    rows, columns = (
        _nearest(old, new)
        for old, new in zip(masks.shape[1:], size, strict=True)
    )
    return masks[:, rows][:, :, columns]


def _have_area(boxes: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = boxes.T
    return (x2 > x1) & (y2 > y1)


def _nearest(length: int, new_length: int) -> np.ndarray:
    """Returns the pixel that the corner of each new one falls into."""
    # The order of OpenCV's divisions decides where corners meet.
    step = 1 / (new_length / length)
    corners = np.floor(np.arange(new_length) * step).astype("int64")
    return np.minimum(corners, length - 1)
