"""What is in scenes of digits: masks and boxes, from who owns a pixel."""

import dataclasses

import numpy as np

from keras_twins.data.detection_example import DetectionExample


@dataclasses.dataclass(frozen=True, eq=False)
class DigitScenes:
    """Pictures of digits with their annotations.

    The annotations are of what is visible: where digits overlap, a pixel
    belongs to the last one that covers at least half of it. `n` is the number
    of scenes, `size` their side and `slots` the largest number of digits;
    `valid` says which slots are filled.

    Args:
        images: Pixels of shape `(n, size, size, 3)`, `uint8`.
        semantic_masks: Classes of shape `(n, size, size)`, `uint8`; 0 is
            background and `d + 1` is the digit `d`, as in `SCENE_CLASSES`.
        boxes: Boxes `(x1, y1, x2, y2)` of shape `(n, slots, 4)`, `float32`,
            in pixels from the top left corner of the picture and tight around
            the visible pixels: `x2 - x1` is their width. 0 where not valid.
        labels: Digits, 0 to 9, of shape `(n, slots)`, `int32`; -1 where not
            valid.
        valid: Which slots hold a digit, `(n, slots)`, `bool`. The first
            slots are filled, in the order of drawing.
        masks: Visible pixels of each digit, `(n, slots, size, size)`, `bool`.
    """

    images: np.ndarray
    semantic_masks: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    valid: np.ndarray
    masks: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def detection(self) -> dict[str, np.ndarray]:
        """Returns what a detector is trained on.

        Returns:
            A padded batch of all scenes: `images`, `boxes`, `labels`, `valid`
            and `masks`, as the fields of the same names.
        """
        names = ("images", "boxes", "labels", "valid", "masks")
        return {name: getattr(self, name) for name in names}

    def example(self, index: int, with_masks: bool = False) -> DetectionExample:
        """Returns a scene and the digits in it.

        Args:
            index: Number of the scene, from 0.
            with_masks: Whether to give the masks.

        Returns:
            The example, its labels from 0 to 9.
        """
        there = self.valid[index]
        return DetectionExample(
            image=self.images[index],
            boxes=self.boxes[index, there],
            labels=self.labels[index, there],
            masks=self.masks[index, there] if with_masks else None,
            image_id=index,
            name=f"scene {index}",
        )

    def most_boxes(self) -> tuple[str, int]:
        """Returns which scene has most digits, and how many.

        Returns:
            What the scene is called, and the number of its digits.
        """
        counts = self.valid.sum(axis=1)
        most = int(counts.argmax())
        return f"scene {most}", int(counts[most])


def annotate(
    images: np.ndarray, owner: np.ndarray, labels: np.ndarray
) -> DigitScenes:
    """Reads masks and boxes off which digit each pixel belongs to.

    Args:
        images: Pixels of shape `(n, size, size, 3)`, `uint8`.
        owner: Number of the digit of each pixel, `(n, size, size)`, in the
            order of drawing; -1 for the background.
        labels: Digits of shape `(n, slots)`; -1 where there is none.

    Returns:
        The scenes.
    """
    masks = owner[:, None] == np.arange(labels.shape[1])[:, None, None]
    scene = np.arange(len(images))[:, None, None]
    # Class 0 comes first, where the owner is -1.
    classes = np.pad(labels + 1, [(0, 0), (1, 0)]).astype("uint8")
    return DigitScenes(
        images=images,
        semantic_masks=classes[scene, owner + 1],
        boxes=_boxes(masks),
        labels=labels,
        valid=labels >= 0,
        masks=masks,
    )


def _boxes(masks: np.ndarray) -> np.ndarray:
    """Returns the smallest boxes around masks `(..., height, width)`."""
    x1, x2 = _range(np.any(masks, axis=-2))
    y1, y2 = _range(np.any(masks, axis=-1))
    return np.stack([x1, y1, x2, y2], axis=-1).astype("float32")


def _range(touched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each row of `touched` begins and ends, 0 if nowhere."""
    end = touched.shape[-1] - touched[..., ::-1].argmax(axis=-1)
    return touched.argmax(axis=-1), end * touched.any(axis=-1)
