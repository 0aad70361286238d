import itertools
import sys
import types

import numpy as np
import pytest

from keras_twins.data import load_ade20k
from keras_twins.data import load_digit_scenes
from keras_twins.data import load_scene_parse150
from keras_twins.data.annotations import LabelRule
from keras_twins.data.annotations import read_pair
from keras_twins.data.scene_parse150 import category_labels

Image = pytest.importorskip("PIL.Image")
tf = pytest.importorskip("tensorflow")

ORIENTATION = 0x0112
COUNT = 7


def annotation(values, mode="L"):
    picture = Image.fromarray(np.asarray(values, "uint8"))
    if mode == "P":
        # Colours that say nothing of the indices.
        colors = np.random.default_rng(0).permutation(256)
        picture.putpalette(np.repeat(colors, 3).astype("uint8").tobytes())
    return picture


def values(index):
    """Annotation of the pair at `index`: everything from 0 to 150, and 255."""
    found = np.arange(12 * 16).reshape(12, 16) % 151
    found[0, :2] = index, 255
    return found.astype("uint8")


def pixels(seed=0, shape=(12, 16, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, "uint8")


@pytest.fixture
def folder(tmp_path):
    """`COUNT` pairs for training and one for validation."""
    root = tmp_path / "ADEChallengeData2016"
    names = [("training", f"ADE_train_{i:08}", i) for i in range(1, COUNT + 1)]
    for split, name, index in [*names, ("validation", "ADE_val_00000001", 9)]:
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels(index))
        image.save(root / "images" / split / f"{name}.jpg", quality=95)
        mask = annotation(values(index), "P" if index % 2 else "L")
        mask.save(root / "annotations" / split / f"{name}.png")
    return root


def training(folder, kind, index=1):
    suffix = "jpg" if kind == "images" else "png"
    return folder / kind / "training" / f"ADE_train_{index:08}.{suffix}"


def order(dataset):
    """Which pairs come: each mask begins with its index, less one."""
    return [int(one["mask"][0, 0]) + 1 for one in dataset.as_numpy_iterator()]


def test_examples_are_what_the_files_hold(folder):
    examples = list(load_ade20k(folder).as_numpy_iterator())
    assert len(examples) == COUNT
    for index, example in enumerate(examples, 1):
        path = training(folder, "images", index)
        np.testing.assert_array_equal(example["image"], Image.open(path))
        raw = values(index).astype(int)
        wanted = np.where(np.isin(raw, (0, 255)), 255, raw - 1)
        np.testing.assert_array_equal(example["mask"], wanted)
        assert example["image"].dtype == example["mask"].dtype == np.uint8


def test_shapes_are_known_before_reading(folder):
    spec = load_ade20k(folder).element_spec
    assert spec["image"].shape.as_list() == [None, None, 3]
    assert spec["mask"].shape.as_list() == [None, None]


def test_splits(folder):
    assert order(load_ade20k(folder, "validation")) == [9]
    assert len(load_ade20k(folder, "training")) == COUNT
    with pytest.raises(ValueError, match="split.*Received: split='test'"):
        load_ade20k(folder, "test")


@pytest.mark.parametrize("bits", [8, 4])
def test_palettes_are_read_as_indices(tmp_path, bits):
    found = np.arange(16, dtype="uint8").reshape(4, 4)
    Image.fromarray(pixels(0, (4, 4, 3))).save(tmp_path / "a.png")
    annotation(found, "P").save(tmp_path / "b.png", bits=bits)
    paths = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    _, mask = read_pair(*paths, LabelRule(16, False))
    np.testing.assert_array_equal(mask, found)


@pytest.mark.parametrize("num_classes", [1, 150, 254, 255])
def test_reducing_the_zero_label(num_classes):
    raw = np.append(np.arange(min(num_classes + 1, 255)), 255).astype("uint8")
    labels = LabelRule(num_classes).labels(raw)
    # What mmsegmentation does, in its three steps.
    wanted = raw.astype(int)
    wanted[wanted == 0] = 255
    wanted = wanted - 1
    wanted[wanted == 254] = 255
    np.testing.assert_array_equal(labels, wanted)
    assert labels.dtype == np.uint8


def test_labels_that_are_not_reduced(folder):
    dataset = load_ade20k(folder, num_classes=151, reduce_zero_label=False)
    (first,) = dataset.take(1).as_numpy_iterator()
    np.testing.assert_array_equal(first["mask"], values(1))


@pytest.mark.parametrize(
    ("rule", "wrong", "text"),
    [
        (LabelRule(150), 151, r"0 to 150, or 255.*Received: \[151\]"),
        (LabelRule(2), 3, r"0 to 2, or 255, for 2 classes.*\[3\]"),
        (LabelRule(2, False), 2, r"0 to 1, or 255.*\[2\]"),
    ],
)
def test_labels_out_of_range(rule, wrong, text):
    rule.labels(np.array([0, wrong - 1, 255], "uint8"))
    with pytest.raises(ValueError, match=text):
        rule.labels(np.array([0, wrong, 255], "uint8"))


@pytest.mark.parametrize("num_classes", [0, 256])
def test_number_of_classes_is_limited(folder, num_classes):
    with pytest.raises(ValueError, match=f"num_classes={num_classes}"):
        load_ade20k(folder, num_classes=num_classes)


def test_shards_share_the_pairs(folder):
    shards = [order(load_ade20k(folder, shard=(3, i))) for i in range(3)]
    assert shards == [[1, 4, 7], [2, 5], [3, 6]]
    for shard in ((2, 2), (0, 0), (8, 7)):
        with pytest.raises(ValueError, match=r"shard=\(\d, \d\)"):
            load_ade20k(folder, shard=shard)


def test_orders_follow_from_the_seed_and_the_pass(folder):
    def passes(seed):
        stream = load_ade20k(folder, shuffle_seed=seed)
        return order(stream.take(2 * COUNT))

    tf.random.set_seed(1)
    one = passes(5)
    tf.random.set_seed(2)
    assert passes(5) == one
    assert passes(6) != one
    first, second = one[:COUNT], one[COUNT:]
    assert sorted(first) == sorted(second) == list(range(1, COUNT + 1))
    assert first != second


def test_passes_begin_anywhere(folder):
    every = order(load_ade20k(folder, shuffle_seed=5).take(3 * COUNT))
    for start in (1, COUNT, 2 * COUNT - 1):
        rest = load_ade20k(folder, shuffle_seed=5, start=start).take(COUNT)
        assert order(rest) == every[start : start + COUNT]


def test_what_comes_before_the_start_is_not_read(folder):
    (first,) = order(load_ade20k(folder, shuffle_seed=5).take(1))
    break_file(training(folder, "images", first))
    rest = load_ade20k(folder, shuffle_seed=5, start=1).take(COUNT - 1)
    assert first not in order(rest)


@pytest.mark.parametrize("seed", [None, 0])
def test_wrong_starts(folder, seed):
    start = 1 if seed is None else -1
    with pytest.raises(ValueError, match=f"`start` must.*start={start}"):
        load_ade20k(folder, shuffle_seed=seed, start=start)


def test_pictures_get_three_channels_and_stand_upright(tmp_path):
    tags = Image.Exif()
    tags[ORIENTATION] = 6
    grey = Image.fromarray(pixels(shape=(4, 6)))
    grey.save(tmp_path / "a.jpg", exif=tags)
    annotation(np.ones((6, 4))).save(tmp_path / "a.png")
    image, mask = read_pair(
        str(tmp_path / "a.jpg"), str(tmp_path / "a.png"), LabelRule()
    )
    wanted = np.rot90(np.asarray(Image.open(tmp_path / "a.jpg")), 3)
    np.testing.assert_array_equal(image, np.stack([wanted] * 3, -1))
    assert (mask == 0).all()


def test_transparent_palettes_are_pictures(tmp_path):
    picture = Image.fromarray(pixels(shape=(4, 4, 3))).quantize(4)
    picture.save(tmp_path / "a.png", transparency=bytes([0, 255, 128, 9]))
    annotation(np.ones((4, 4))).save(tmp_path / "b.png")
    paths = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    image, _ = read_pair(*paths, LabelRule())
    np.testing.assert_array_equal(image, picture.convert("RGB"))


def break_file(path):
    path.write_bytes(path.read_bytes()[:-60])


def save(picture, path):
    picture.save(path)


BROKEN = {
    "truncated picture": ("images", break_file, "Cannot read"),
    "truncated annotation": ("annotations", break_file, "Cannot read"),
    "no picture": (
        "images",
        lambda path: path.write_text("<html>"),
        "Cannot read",
    ),
    "other size": (
        "annotations",
        lambda path: save(annotation(np.ones((16, 12))), path),
        r"same size.*\(12, 16\).*\(16, 12\)",
    ),
    "coloured": (
        "annotations",
        lambda path: save(Image.fromarray(pixels()), path),
        "one index of 8 bits per pixel.*mode RGB",
    ),
    "one bit": (
        "annotations",
        lambda path: save(Image.fromarray(np.zeros((12, 16), bool)), path),
        "other depths to be saved with 8 bits.*mode 1 ",
    ),
    "out of range": (
        "annotations",
        lambda path: save(annotation(np.full((12, 16), 151)), path),
        r"Wrong labels.*\[151\]",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named(folder, name):
    kind, change, text = BROKEN[name]
    path = training(folder, kind, 2)
    change(path)
    examples = load_ade20k(folder).as_numpy_iterator()
    next(examples)
    with pytest.raises(tf.errors.InvalidArgumentError, match=text) as error:
        next(examples)
    assert str(path) in str(error.value)


def test_sixteen_bits_are_no_picture(tmp_path):
    deep = np.full((4, 4), 1000, "uint16")
    Image.fromarray(deep).save(tmp_path / "a.png")
    paths = str(tmp_path / "a.png"), str(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"8 bits.*I;16.*a\.png"):
        read_pair(*paths, LabelRule())


@pytest.mark.parametrize(
    ("kind", "what"), [("images", "picture"), ("annotations", "annotation")]
)
def test_every_file_needs_its_partner(folder, kind, what):
    training(folder, kind, 3).unlink()
    with pytest.raises(ValueError, match=f"its {what}.*1 files.*00000003"):
        load_ade20k(folder)


def test_names_must_be_unique(folder):
    Image.fromarray(pixels()).save(
        training(folder, "images").with_suffix(".png")
    )
    with pytest.raises(ValueError, match=r"ADE_train_00000001\.jpg.*\.png"):
        load_ade20k(folder)


def test_other_files_do_not_matter(folder):
    (folder / "images" / "training" / "Thumbs.db").write_text("")
    (folder / "images" / "training" / "._ADE_train_00000001.jpg").write_text("")
    assert len(load_ade20k(folder)) == COUNT


def test_missing_and_empty_folders(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*images"):
        load_ade20k(tmp_path)
    for kind in ("images", "annotations"):
        for path in (folder / kind / "validation").iterdir():
            path.unlink()
    with pytest.raises(ValueError, match="nothing to read"):
        load_ade20k(folder, "validation")


@pytest.mark.parametrize(
    ("module", "extra"), [("PIL", "data"), ("tensorflow", "tensorflow")]
)
def test_missing_packages_name_the_extra(folder, monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"keras-twins\[{extra}\]"):
        load_ade20k(folder)


def test_digit_scenes_survive_the_layout(tmp_path):
    pytest.importorskip("sklearn")
    scenes = load_digit_scenes(2, image_size=32)
    for kind, arrays in (
        ("images", scenes.images),
        ("annotations", scenes.semantic_masks),
    ):
        (tmp_path / kind / "training").mkdir(parents=True)
        for index, array in enumerate(arrays):
            path = tmp_path / kind / "training" / f"{index}.png"
            Image.fromarray(array).save(path)
    examples = load_ade20k(tmp_path, "training", 11, reduce_zero_label=False)
    for index, example in enumerate(examples.as_numpy_iterator()):
        np.testing.assert_array_equal(example["image"], scenes.images[index])
        np.testing.assert_array_equal(
            example["mask"], scenes.semantic_masks[index]
        )


def test_categories_of_instances_have_their_labels():
    labels = category_labels()
    assert labels.shape == (101,)
    assert labels[0] == 255
    # Rows of the two published lists: bed, person, van, flag.
    assert labels[[1, 4, 65, 100]].tolist() == [7, 12, 102, 149]
    assert all(a < b for a, b in itertools.pairwise(labels[1:]))


def scene_parse150(monkeypatch, annotations):
    """Puts tensorflow-datasets in place, with the features of its catalogue."""
    calls = []

    def load(name, **options):
        calls.append((name, options))
        return tf.data.Dataset.from_tensor_slices(
            {"image": pixels(shape=(1, 2, 2, 3)), "annotation": annotations}
        )

    stand_in = types.SimpleNamespace(load=load)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", stand_in)
    return calls


def test_scene_parse150(monkeypatch):
    annotations = np.zeros((1, 2, 2, 3), "uint8")
    annotations[0, ..., 0] = [[0, 1], [100, 4]]
    annotations[0, ..., 1] = 77
    calls = scene_parse150(monkeypatch, annotations)
    (example,) = load_scene_parse150("test", "/data").as_numpy_iterator()
    np.testing.assert_array_equal(example["mask"], [[255, 7], [149, 12]])
    np.testing.assert_array_equal(example["image"], pixels(shape=(2, 2, 3)))
    assert example["mask"].dtype == np.uint8
    options = {"split": "test", "data_dir": "/data", "shuffle_files": False}
    assert calls == [("scene_parse150", options)]


def test_scene_parse150_out_of_range(monkeypatch):
    scene_parse150(monkeypatch, np.full((1, 2, 2, 3), 101, "uint8"))
    examples = load_scene_parse150().as_numpy_iterator()
    with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 100"):
        next(examples)


def test_scene_parse150_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"tensorflow-datasets.*\[data\]"):
        load_scene_parse150()
