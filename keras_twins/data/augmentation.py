"""Augmentation in NumPy: the same on every backend, from one seed."""

from typing import Any

import keras
import numpy as np


def random_affine(
    images: np.ndarray,
    rng: np.random.Generator,
    max_shift: float = 0.1,
    max_rotation: float = 12.0,
    max_zoom: float = 0.1,
) -> np.ndarray:
    """Shifts, rotates and zooms each image by its own random amount.

    Args:
        images: Images of shape `(batch, height, width, channels)`.
        rng: Source of the random numbers.
        max_shift: Largest shift, as a fraction of the side.
        max_rotation: Largest rotation in degrees.
        max_zoom: Largest change of the size, as a fraction.

    Returns:
        Images of the same shape, dtype `float32`, sampled bilinearly; what
        comes in from outside is 0.
    """
    batch, height, width, _ = images.shape
    angle = np.deg2rad(rng.uniform(-max_rotation, max_rotation, batch))
    zoom = 1 + rng.uniform(-max_zoom, max_zoom, batch)
    shift = rng.uniform(-max_shift, max_shift, (2, batch))
    y, x = np.mgrid[:height, :width].astype("float32")
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    sine = (np.sin(angle) / zoom)[:, None, None]
    cosine = (np.cos(angle) / zoom)[:, None, None]
    centre_y = (height - 1) / 2 + height * shift[0][:, None, None]
    centre_x = (width - 1) / 2 + width * shift[1][:, None, None]
    return _sample(
        images,
        cosine * y - sine * x + centre_y,
        sine * y + cosine * x + centre_x,
    )


def _sample(images: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns the images at positions `y` and `x`, each `(B, H, W)`."""
    height, width = images.shape[1:3]
    # A border of zeros on each side takes everything that is outside.
    padded = np.pad(images, [(0, 0), (1, 2), (1, 2), (0, 0)])
    y = np.clip(y + 1, 0, height + 1).astype("float32")
    x = np.clip(x + 1, 0, width + 1).astype("float32")
    top, left = y.astype(int), x.astype(int)
    down, right = (y - top)[..., None], (x - left)[..., None]
    image = np.arange(len(images))[:, None, None]
    above = (1 - right) * padded[image, top, left]
    above = above + right * padded[image, top, left + 1]
    below = (1 - right) * padded[image, top + 1, left]
    below = below + right * padded[image, top + 1, left + 1]
    return ((1 - down) * above + down * below).astype("float32")


class AugmentedBatches(keras.utils.PyDataset):
    """Shuffled batches of images, each image augmented anew every epoch.

    What a batch holds follows from the seed, the epoch and its index alone,
    on every backend.

    Args:
        images: Images of shape `(n, height, width, channels)`.
        targets: Labels of shape `(n, ...)`.
        batch_size: Images in a batch.
        drop_remainder: Whether an epoch leaves out the images that do not
            fill a batch, other ones each time. Batches of one size are
            compiled only once.
        seed: Seed of the order and of the augmentation.
        **affine: Keyword arguments of `random_affine`.

    Raises:
        ValueError: If `images` and `targets` differ in length, or do not
            fill a batch.
    """

    def __init__(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        batch_size: int = 64,
        drop_remainder: bool = False,
        seed: int = 0,
        **affine: float,
    ):
        super().__init__()
        if len(images) != len(targets):
            raise ValueError(
                "`images` and `targets` must have the same length. Received: "
                f"{len(images)} images and {len(targets)} targets"
            )
        self._images, self._targets = images, targets
        if drop_remainder and len(images) < batch_size:
            raise ValueError(
                "`images` do not fill one batch, and `drop_remainder` leaves "
                f"them out. Received: {len(images)} images, "
                f"batch_size={batch_size}"
            )
        self._batch_size = batch_size
        self._drop_remainder = drop_remainder
        self._seed = seed
        self._affine: dict[str, Any] = affine
        self._start_epoch(0)

    def _start_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        rng = np.random.default_rng((self._seed, epoch))
        self._order = rng.permutation(len(self._images))

    def __len__(self) -> int:
        if self._drop_remainder:
            return len(self._images) // self._batch_size
        return -(-len(self._images) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start = index * self._batch_size
        chosen = self._order[start : start + self._batch_size]
        rng = np.random.default_rng((self._seed, self._epoch, index))
        images = random_affine(self._images[chosen], rng, **self._affine)
        return images, self._targets[chosen]

    def on_epoch_end(self) -> None:
        """Draws the order of the next epoch."""
        self._start_epoch(self._epoch + 1)
