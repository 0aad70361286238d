"""Image sets by one text, as commands take them."""

import fnmatch
import glob
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping

import numpy as np

from keras_twins.data.classification.image_dataset import ImageDataset
from keras_twins.data.classification.image_folder import folder_classes
from keras_twins.data.classification.image_folder import load_image_folder
from keras_twins.data.classification.image_folder import write_image_folder
from keras_twins.data.classification.record_shards import load_shards
from keras_twins.data.classification.shard_writing import DESCRIPTION
from keras_twins.data.classification.shard_writing import read_description
from keras_twins.data.classification.splits import find_split
from keras_twins.data.classification.tfds_images import load_tfds
from keras_twins.data.digits import load_digits

DIGITS = "digits"
"""The set that needs no download."""

_DIGITS_SIZE = 32


def load_images(
    spec: str | os.PathLike[str],
    split: str | None = "train",
    cache: str | os.PathLike[str] | None = None,
) -> ImageDataset:
    """Reads the image set that a text names.

    Args:
        spec: The path of a folder with a folder for each split in it and one
            for each class in those; `"tfds:NAME"`, a set of
            tensorflow-datasets; `"tfrecord:PLACE"` or `"webdataset:PLACE"`, a
            folder with shards or the pattern of their paths, beside which
            `dataset.json` says what is in them, as `write_tfrecords` and
            `write_webdataset` write it; or `"digits"`, those of scikit-learn.
        split: Name of the split. `"val"`, `"validation"` and `"test"` stand
            for each other where only one is there. `None` for a folder that
            has the classes in itself.
        cache: Folder that `"digits"` are written to once; by default
            `datasets/keras_twins` in the folder that the environment variable
            `KERAS_HOME` names, `~/.keras`.

    Returns:
        An `ImageDataset`.

    Raises:
        FileNotFoundError: If there is no such folder, file or split.
        ImportError: If TensorFlow, or what the set needs, is missing.
        ValueError: If the set is not one of images with one class each.

    Example:

    ```python
    import tempfile

    from keras_twins.data.classification.sources import load_images

    with tempfile.TemporaryDirectory() as folder:
        digits = load_images("digits", "val", cache=folder)
    ```
    """
    text = os.fspath(spec)
    if split is None and os.path.isdir(text):
        return load_image_folder(text, None)
    if split is None:
        raise ValueError(
            "Only a folder has classes without a split. Received: "
            f"spec={text!r}, split=None"
        )
    if text == DIGITS:
        return _digits(split, pathlib.Path(cache or _cache_folder()))
    prefix, colon, place = text.partition(":")
    if colon and prefix in _SOURCES:
        return _SOURCES[prefix](place, split)
    if not os.path.isdir(text):
        raise FileNotFoundError(
            f"There is no folder {text}. Image sets are folders, "
            f"{', '.join(f'{name}:...' for name in _SOURCES)} or {DIGITS!r}."
        )
    return load_image_folder(text, split, _training_classes(text))


def _cache_folder() -> pathlib.Path:
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    return pathlib.Path(home).expanduser() / "datasets" / "keras_twins"


def _digits(split: str, cache: pathlib.Path) -> ImageDataset:
    parts = ("train", "val")
    found = find_split(split, parts, DIGITS)
    root = cache / f"digits-{_DIGITS_SIZE}"
    if not (root / found).is_dir():
        both = load_digits(_DIGITS_SIZE)
        _write_once(root, found, *both[parts.index(found)])
    return load_image_folder(root, found)


def _write_once(
    root: pathlib.Path, split: str, images: np.ndarray, labels: np.ndarray
) -> None:
    names = [str(digit) for digit in range(10)]
    try:
        write_image_folder(root, split, images, labels, names)
    except OSError:
        # Another process was faster: its folder is complete.
        if not (root / split).is_dir():
            raise


def _training_classes(root: str) -> tuple[str, ...] | None:
    """Returns the classes of the training split, which name the labels."""
    try:
        return folder_classes(root, "train")
    except FileNotFoundError:
        return None


def _tfrecord(place: str, split: str) -> ImageDataset:
    return _shards(place, split, "tfrecord")


def _webdataset(place: str, split: str) -> ImageDataset:
    return _shards(place, split, "webdataset")


def _shards(place: str, split: str, kind: str) -> ImageDataset:
    is_folder = os.path.isdir(place)
    folder = place if is_folder else os.path.dirname(place) or os.curdir
    known = read_description(folder)
    where = os.path.join(folder, DESCRIPTION)
    entry = known["splits"][find_split(split, known["splits"], where)]
    files = sorted(glob.glob(os.path.join(glob.escape(folder), entry["files"])))
    pattern = "*" if is_folder else os.path.basename(place)
    named = [x for x in files if fnmatch.fnmatch(os.path.basename(x), pattern)]
    if not files or named != files:
        raise FileNotFoundError(
            f"{place} must name all files of the split {split!r}, which are "
            f"{entry['files']} in {folder}. Received: {len(named)} of "
            f"{len(files)} files"
        )
    if any(file.endswith(".tar") != (kind == "webdataset") for file in files):
        raise ValueError(
            "Shards that end in .tar are `webdataset:`, others `tfrecord:`. "
            f"Received: {kind}:{place} with files such as {files[0]}"
        )
    names, first = known["class_names"], known.get("first_label", 0)
    return load_shards(files, entry["num_examples"], names, first)


_SOURCES: Mapping[str, Callable[[str, str], ImageDataset]] = {
    "tfds": load_tfds,
    "tfrecord": _tfrecord,
    "webdataset": _webdataset,
}
