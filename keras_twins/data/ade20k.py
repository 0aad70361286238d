"""ADE20K as its authors pack it: the folder `ADEChallengeData2016`."""

import os
import pathlib
from typing import TYPE_CHECKING

from keras_twins.data.annotations import LabelRule
from keras_twins.data.annotations import read_pair
from keras_twins.data.digits import require
from keras_twins.data.tensorflow_data import checked_shard
from keras_twins.data.tensorflow_data import in_order
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

SPLITS = ("training", "validation")
"""Folders inside `images` and `annotations`."""

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_MASK_SUFFIXES = (".png",)


def load_ade20k(
    folder: str | os.PathLike[str],
    split: str = "training",
    num_classes: int = 150,
    reduce_zero_label: bool = True,
    shuffle_seed: int | None = None,
    shard: tuple[int, int] = (1, 0),
    start: int = 0,
) -> "tf.data.Dataset":
    """Reads a segmentation data set in the layout of ADE20K.

    The pictures lie in `images/<split>` and the annotations in
    `annotations/<split>`, as PNG files of the same names whose pixels are
    indices (grey or palette; the colours of a palette do not matter).

    Files are read when their turn comes. One that is broken, has another size
    than its partner or a label out of range ends the iteration with a
    `tf.errors.InvalidArgumentError` that names it.

    Args:
        folder: Folder that has `images` and `annotations`, such as
            `ADEChallengeData2016`.
        split: `"training"` or `"validation"`.
        num_classes: Number of classes.
        reduce_zero_label: Whether 0 in the annotations stands for what is not
            annotated, as in ADE20K: 0 becomes 255 (ignored) and the other
            values become one less. 255 stays in either case.
        shuffle_seed: Without a seed, one pass in the order of the file names.
            With one, passes without end, each in an order that follows from
            the seed and the number of the pass alone.
        shard: `(number, index)`: of `number` shards, read the one at `index`,
            every `number`-th pair. Each process of a distributed training
            takes its own.
        start: Number of the first example, of those of the shard, for a
            training that is resumed; those before are not read. It needs a
            `shuffle_seed`.

    Returns:
        A `tf.data.Dataset` of `{"image": (height, width, 3), "mask": (height,
        width)}`, both `uint8`; 255 in the mask is ignored.

    Raises:
        FileNotFoundError: If a folder is missing.
        ImportError: If TensorFlow or Pillow is missing.
        ValueError: If a picture or an annotation has no partner, if there is
            none at all, or if an argument is wrong.

    Reference:
        - [Scene Parsing through ADE20K Dataset](https://people.csail.mit.edu/bzhou/publication/scene-parse-camera-ready.pdf)
    """
    if start < 0 or (start and shuffle_seed is None):
        raise ValueError(
            "`start` must not be negative, and other than 0 it needs a "
            f"`shuffle_seed`. Received: {start=}, {shuffle_seed=}"
        )
    rule = LabelRule(num_classes, reduce_zero_label)
    pairs = _shard(list_pairs(folder, split), shard)
    return read_pairs(pairs, rule, shuffle_seed, start)


def list_pairs(
    folder: str | os.PathLike[str], split: str
) -> list[tuple[str, str]]:
    """Returns the paths of pictures and annotations, by name.

    Args:
        folder: As for `load_ade20k`.
        split: As for `load_ade20k`.

    Returns:
        Pairs of paths; none of the files has been read.

    Raises:
        FileNotFoundError: If a folder is missing.
        ImportError: If what reads the files is missing.
        ValueError: If a picture or an annotation has no partner, if there is
            none at all, or if `split` is unknown.
    """
    require_tensorflow()
    require("PIL", "Pillow")
    if split not in SPLITS:
        raise ValueError(
            f"`split` must be one of {', '.join(SPLITS)}. Received: "
            f"split={split!r}"
        )
    folder = pathlib.Path(folder)
    images = _files(folder / "images" / split, _IMAGE_SUFFIXES)
    masks = _files(folder / "annotations" / split, _MASK_SUFFIXES)
    for names, others, what in (
        (images, masks, "annotation"),
        (masks, images, "picture"),
    ):
        alone = [str(names[name]) for name in sorted(set(names) - set(others))]
        if alone:
            raise ValueError(
                f"Every file must have its {what}, of the same name. Received: "
                f"{len(alone)} files without one: {', '.join(alone[:5])}"
            )
    if not images:
        raise ValueError(
            "There is nothing to read: no file ends with "
            f"{' or '.join(_IMAGE_SUFFIXES)} in {folder / 'images' / split}"
        )
    return [(str(images[name]), str(masks[name])) for name in sorted(images)]


def read_pairs(
    pairs: list[tuple[str, str]],
    rule: LabelRule,
    shuffle_seed: int | None = None,
    start: int = 0,
) -> "tf.data.Dataset":
    """Reads pictures and annotations when their turn comes.

    Args:
        pairs: What `list_pairs` returns, or some of it.
        rule: What the values of the annotations mean.
        shuffle_seed: As for `load_ade20k`.
        start: As for `load_ade20k`.

    Returns:
        What `load_ade20k` returns.
    """
    import tensorflow as tf

    def load(paths: Tensor) -> dict[str, Tensor]:
        image, mask = tf.numpy_function(
            lambda pair: read_pair(*map(os.fsdecode, pair), rule=rule),
            [paths],
            [tf.uint8, tf.uint8],
        )
        return {
            "image": tf.ensure_shape(image, (None, None, 3)),
            "mask": tf.ensure_shape(mask, (None, None)),
        }

    table = tf.constant([list(map(os.fsencode, pair)) for pair in pairs])
    return map_in_order(in_order(table, shuffle_seed, start), load)


def _files(
    folder: pathlib.Path, suffixes: tuple[str, ...]
) -> dict[str, pathlib.Path]:
    """Returns the files of a folder by their names without suffix."""
    if not folder.is_dir():
        raise FileNotFoundError(
            "Expected `images` and `annotations`, each with a folder for the "
            f"split, as in ADEChallengeData2016. There is no folder {folder}."
        )
    found: dict[str, pathlib.Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in found:
            raise ValueError(
                "Names must differ without their suffixes. Received: "
                f"{found[path.stem]} and {path}"
            )
        found[path.stem] = path
    return found


def _shard(
    pairs: list[tuple[str, str]], shard: tuple[int, int]
) -> list[tuple[str, str]]:
    number, index = checked_shard(shard)
    chosen = pairs[index::number]
    if not chosen:
        raise ValueError(
            f"There is nothing to read: {len(pairs)} pictures in all. "
            f"Received: shard={shard}"
        )
    return chosen
