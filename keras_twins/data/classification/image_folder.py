"""Folders of images, one for each class, as ImageNet is unpacked."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Sequence

import numpy as np

from keras_twins.data.classification.image_dataset import ImageDataset
from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.classification.image_dataset import Row
from keras_twins.data.classification.image_dataset import read_by_index
from keras_twins.data.classification.splits import find_split
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.ops import Tensor

IMAGE_SUFFIXES = frozenset(
    (".jpeg", ".jpg", ".png", ".bmp", ".gif", ".webp")
    + (".tif", ".tiff", ".ppm", ".pgm")
)
"""Names that end so are images. What cannot be decoded among them is treated
as a broken file: it is never left out in silence."""


def load_image_folder(
    root: str | os.PathLike[str],
    split: str | None = "train",
    class_names: Sequence[str] | None = None,
) -> ImageDataset:
    """Reads a folder with a folder of images for each class.

    The images lie in `ROOT/SPLIT/CLASS/`; the classes are sorted by name.
    Files are read when their turn comes.

    Args:
        root: The folder.
        split: Folder of the split; `"val"`, `"validation"` and `"test"` stand
            for each other where only one is there. `None` for classes in
            `root` itself.
        class_names: Names of the classes in the order of the labels, such as
            those of the training split for a split that lacks some. By
            default, all there are.

    Returns:
        An `ImageDataset`. What it reads does not depend on the number of
        shards, and it starts at any step at once.

    Raises:
        FileNotFoundError: If there is no such folder or split; the message
            names what there is.
        ImportError: If TensorFlow is missing.
        ValueError: If there are no classes, a class has no images, or a class
            is not in `class_names`.
    """
    require_tensorflow()
    folder = _split_folder(pathlib.Path(root), split)
    found = folder_classes(root, split)
    names = tuple(class_names) if class_names is not None else tuple(found)
    strange = sorted(set(found) - set(names))
    if strange:
        raise ValueError(
            f"Every class in {folder} must be in `class_names`. Received: "
            f"{len(strange)} others, such as {strange[:3]}"
        )
    labels = {name: label for label, name in enumerate(names)}
    files = {name: _image_files(folder / name) for name in found}
    empty = [name for name, own in files.items() if not own]
    if empty:
        raise ValueError(
            f"Every class must have images directly in its folder, with names "
            f"that end in {', '.join(sorted(IMAGE_SUFFIXES))}. Received: "
            f"{len(empty)} classes without any in {folder}, such as {empty[:3]}"
        )
    table = [
        (os.path.join(name, file), labels[name])
        for name in found
        for file in files[name]
    ]
    return _dataset(folder, names, table)


def folder_classes(
    root: str | os.PathLike[str], split: str | None = "train"
) -> tuple[str, ...]:
    """Returns the classes of an image folder; no image is looked at.

    Args:
        root: As for `load_image_folder`.
        split: As for `load_image_folder`.

    Returns:
        Names of the classes, sorted.

    Raises:
        FileNotFoundError: If there is no such folder or split.
        ValueError: If there are no classes, or a name cannot be read.
    """
    folder = _split_folder(pathlib.Path(root), split)
    found = _folders(folder)
    if not found:
        images = len(_image_files(folder))
        raise ValueError(
            f"Expected a folder for each class in {folder}. Received: no "
            f"folder and {images} images. Images without a folder have no "
            "label: sort them into folders of their classes."
        )
    for name in found:
        if not name.isprintable():
            raise ValueError(
                "Names of classes must be readable text in UTF-8. Received: "
                f"{os.fsencode(name)!r} in {folder}"
            )
    return tuple(found)


def write_image_folder(
    root: str | os.PathLike[str],
    split: str | None,
    images: np.ndarray | Sequence[np.ndarray],
    labels: Sequence[int] | np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Writes images as `load_image_folder` reads them.

    The folder of the split appears complete, or not at all.

    Args:
        root: The folder; it is made if there is none.
        split: Folder of the split, which must not exist; `None` for `root`.
        images: Images of shape `(height, width, 3)` or `(height, width, 1)`,
            `uint8`.
        labels: Their labels.
        class_names: Names of the classes in the order of the labels; each
            must have an image.

    Raises:
        FileExistsError: If the folder of the split is there and not empty.
        ImportError: If TensorFlow is missing.
        ValueError: If numbers or labels do not fit.
    """
    require_tensorflow()
    _check_labels(images, labels, class_names)
    target = pathlib.Path(root, split or "")
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(f"There are files in {target} already.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)
    )
    try:
        _write_files(draft, images, labels, class_names)
        draft.chmod(0o755)
        os.replace(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _split_folder(root: pathlib.Path, split: str | None) -> pathlib.Path:
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}.")
    if split is None:
        return root
    return root / find_split(split, _folders(root), str(root))


def _folders(folder: pathlib.Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() and not entry.name.startswith(".")
        )


def _image_files(folder: pathlib.Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".")
            and os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES
        )


def _dataset(
    folder: pathlib.Path, names: tuple[str, ...], table: list[tuple[str, int]]
) -> ImageDataset:
    import tensorflow as tf

    prefix = os.fsencode(folder) + os.fsencode(os.sep)
    files = tf.constant([os.fsencode(file) for file, _ in table])
    labels = tf.constant([label for _, label in table], tf.int64)

    def row(index: Tensor) -> Row:
        path = prefix + tf.gather(files, index)
        return {
            "content": tf.io.read_file(path),
            "label": tf.gather(labels, index),
            "name": path,
        }

    def read(reading: Reading) -> "tf.data.Dataset":
        return read_by_index(len(table), reading, row)

    return ImageDataset(str(folder), names, len(table), read)


def _check_labels(
    images: np.ndarray | Sequence[np.ndarray],
    labels: Sequence[int] | np.ndarray,
    class_names: Sequence[str],
) -> None:
    if len(images) != len(labels) or not len(images):
        raise ValueError(
            "There must be images, each with a label. Received: "
            f"{len(images)} images, {len(labels)} labels"
        )
    missing = set(range(len(class_names))) ^ set(map(int, labels))
    if missing:
        raise ValueError(
            f"Each of the {len(class_names)} classes must have an image, and "
            f"labels are from 0. Received: labels or classes {missing} alone"
        )


def _write_files(
    folder: pathlib.Path,
    images: np.ndarray | Sequence[np.ndarray],
    labels: Sequence[int] | np.ndarray,
    class_names: Sequence[str],
) -> None:
    import tensorflow as tf

    for name in class_names:
        (folder / name).mkdir()
    digits = len(str(len(images)))
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / class_names[int(label)] / f"{number:0{digits}}.png"
        path.write_bytes(tf.io.encode_png(image).numpy())
