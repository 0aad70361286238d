"""Pictures of COCO and what their annotation file says about them."""

import dataclasses
import os
from typing import Any

import numpy as np

from keras_twins.data.coco_masks import decode_segmentation
from keras_twins.data.detection_example import DetectionExample
from keras_twins.data.detection_example import learnable
from keras_twins.data.digits import require
from keras_twins.preprocessing import read_image


@dataclasses.dataclass(frozen=True, eq=False)
class CocoImage:
    """What the annotation file says about a picture with `n` objects.

    Args:
        id: Number of the picture.
        file: Name of the file in the folder of the pictures.
        height: Height in pixels.
        width: Width in pixels.
        boxes: Boxes `(x1, y1, x2, y2)` in pixels, `(n, 4)`, `float32`.
        labels: Classes of shape `(n,)`, `int32`, from 0 in the order of the
            numbers of the categories.
        crowd: Which boxes hold many objects that are not told apart, `(n,)`,
            `bool`.
        areas: Pixels of the objects, `(n,)`, `float64`.
        annotation_ids: Numbers of the annotations, `(n,)`, `int64`.
        segmentations: Segmentation of each object as the file has it: polygons
            or run lengths; none where there is none, or none was kept.
    """

    id: int
    file: str
    height: int
    width: int
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray
    annotation_ids: np.ndarray
    segmentations: tuple[Any, ...]

    @property
    def trained(self) -> np.ndarray:
        """Which objects are trained on, `(n,)`, `bool`.

        Not crowds, nor those without pixels, with a side below one pixel or
        outside of the picture; the same as in mmdetection.
        """
        inside = learnable(self.boxes, (self.height, self.width))
        return inside & ~self.crowd & (self.areas > 0)


@dataclasses.dataclass(frozen=True, eq=False)
class CocoDataset:
    """Pictures of COCO, of which only the annotations have been read.

    Args:
        annotations: The annotation file.
        folder: Folder of the pictures.
        images: The pictures, by their numbers.
        category_ids: Number of the category of each class, in ascending order.
        class_names: Name of each class.
    """

    annotations: str
    folder: str
    images: tuple[CocoImage, ...]
    category_ids: tuple[int, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def example(self, index: int, with_masks: bool = False) -> DetectionExample:
        """Reads a picture and what is to be learnt in it.

        Args:
            index: Number of the picture, from 0.
            with_masks: Whether to draw the masks.

        Returns:
            The example, without crowds and other objects that are not
            `CocoImage.trained`.

        Raises:
            FileNotFoundError: If there is no such file.
            ImportError: If Pillow or pycocotools is missing.
            ValueError: If the file is broken or has another size than the
                annotation file says, or a segmentation is missing or broken.
        """
        image = self.images[index]
        path = os.path.join(self.folder, image.file)
        pixels = read_image(path)
        if pixels.shape[:2] != (image.height, image.width):
            raise ValueError(
                f"{path}: expected the height and width that "
                f"{self.annotations} says, {(image.height, image.width)}. "
                f"Received: {pixels.shape[:2]}"
            )
        keep = image.trained
        return DetectionExample(
            image=pixels,
            boxes=image.boxes[keep],
            labels=image.labels[keep],
            masks=self._masks(image, keep) if with_masks else None,
            image_id=image.id,
            name=path,
        )

    def most_boxes(self) -> tuple[str, int]:
        """Returns which picture has most boxes, and how many.

        Returns:
            Name of the file and number of the boxes that are trained on.
        """
        counts = [int(image.trained.sum()) for image in self.images]
        most = int(np.argmax(counts))
        return self.images[most].file, counts[most]

    def _masks(self, image: CocoImage, keep: np.ndarray) -> np.ndarray:
        require("pycocotools.mask", "pycocotools")
        size = image.height, image.width
        masks = np.zeros((int(keep.sum()), *size), bool)
        for mask, position in zip(masks, np.flatnonzero(keep), strict=True):
            found = image.segmentations[position]
            number = image.annotation_ids[position]
            where = f"{self.annotations}, annotation {number}"
            if found is None:
                raise ValueError(
                    f"{where}: expected a `segmentation`, which masks are made "
                    "of; `load_coco(..., with_segmentations=True)` keeps them. "
                    "Received: none"
                )
            mask[:] = decode_segmentation(found, size, where)
        return masks
