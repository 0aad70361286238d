"""Real images that ship inside scikit-learn: digits and two photographs."""

import importlib
from typing import Any

import numpy as np

_BRIGHTEST = 16
"""Pixels of scikit-learn's digits go from 0 to 16."""

Split = tuple[np.ndarray, np.ndarray]
"""Images and their labels."""


def load_digits(
    image_size: int = 32,
    seed: int = 0,
    test_fraction: float = 0.2,
    channels: int = 3,
) -> tuple[Split, Split]:
    """Returns 1797 handwritten digits, split into training and test images.

    The images are scikit-learn's (8x8 pixels, from the UCI repository),
    enlarged bilinearly. The same arguments give the same split; every class
    gives the same fraction of its images to the test split.

    Args:
        image_size: Height and width of the images, at least 8.
        seed: Seed of the split.
        test_fraction: Fraction of the images that is held out, in `(0, 1)`.
        channels: Number of equal channels.

    Returns:
        `((x_train, y_train), (x_test, y_test))`. Images have shape
        `(n, image_size, image_size, channels)`, dtype `uint8` and values
        from 0 to 255; labels have shape `(n,)`, dtype `int64` and values
        from 0 to 9.

    Raises:
        ImportError: If scikit-learn is missing.
        ValueError: If an argument is out of range.

    Reference:
        - [Optical Recognition of Handwritten Digits](https://archive.ics.uci.edu/dataset/80)

    Example:

    ```python
    from keras_twins.data import load_digits

    (x_train, y_train), (x_test, y_test) = load_digits()
    ```
    """
    _check_digits(image_size, test_fraction, channels)
    digits = _sklearn_datasets().load_digits()
    images = _enlarge(digits.images * (255 / _BRIGHTEST), image_size)
    images = np.repeat(images[..., None], channels, axis=-1)
    labels = digits.target.astype("int64")
    test = _stratified(labels, test_fraction, np.random.default_rng(seed))
    return (images[~test], labels[~test]), (images[test], labels[test])


def load_photographs() -> dict[str, np.ndarray]:
    """Returns the two photographs that ship inside scikit-learn.

    Returns:
        `{"china": image, "flower": image}`: a temple in China and a dahlia,
        each of shape `(427, 640, 3)` and dtype `uint8`.

    Raises:
        ImportError: If scikit-learn or Pillow is missing.
    """
    datasets = _sklearn_datasets()
    require("PIL", "Pillow")
    return {
        name: np.array(datasets.load_sample_image(f"{name}.jpg"))
        for name in ("china", "flower")
    }


def _check_digits(image_size: int, test_fraction: float, channels: int) -> None:
    if image_size < 8:
        raise ValueError(
            "`image_size` must be at least 8, the size of the originals. "
            f"Received: image_size={image_size}"
        )
    if not 0 < test_fraction < 1:
        raise ValueError(
            "`test_fraction` must be between 0 and 1. Received: "
            f"test_fraction={test_fraction}"
        )
    if channels < 1:
        raise ValueError(
            f"`channels` must be positive. Received: channels={channels}"
        )


def _sklearn_datasets() -> Any:
    return require("sklearn.datasets", "scikit-learn")


def require(module: str, package: str) -> Any:
    """Imports what the extra `data` brings.

    Args:
        module: Name of the module.
        package: Name of the package that it is in.

    Returns:
        The module.

    Raises:
        ImportError: If it is missing; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This data set needs {package}. Install it with "
            '`pip install "keras-twins[data]"`.'
        ) from error


def _enlarge(images: np.ndarray, size: int) -> np.ndarray:
    """Resizes square images bilinearly, pixel centres aligned at half."""
    old = images.shape[1]
    at = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    below = np.minimum(at.astype(int), old - 2)
    rows = np.arange(size)
    weights = np.zeros((size, old))
    weights[rows, below] = 1 - (at - below)
    weights[rows, below + 1] = at - below
    return np.rint(weights @ images @ weights.T).astype("uint8")


def _stratified(
    labels: np.ndarray, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Returns a mask with the given fraction of every class."""
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        mask[members[: round(fraction * len(members))]] = True
    return mask
