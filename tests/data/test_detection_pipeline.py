import sys
import types

import keras
import numpy as np
import pytest

from keras_twins.data import DetectionAugmentation
from keras_twins.data import detection_batches
from keras_twins.data import detection_examples
from keras_twins.data import load_coco
from keras_twins.data import load_coco_tfds
from keras_twins.data import load_digit_scenes
from tests.data import coco_files

tf = pytest.importorskip("tensorflow")
pytest.importorskip("PIL")
pytest.importorskip("pycocotools")

SMALL = DetectionAugmentation(
    short_sides=(20, 40), max_long_side=70, crop_rate=0.0
)
CROPS = DetectionAugmentation((40,), 70, 0.5, 0.5, (40,), (20, 36))
DTYPES = {
    "images": "uint8",
    "image_sizes": "int32",
    "boxes": "float32",
    "labels": "int32",
    "valid": "bool",
    "masks": "bool",
    "image_ids": "int64",
    "original_sizes": "int32",
}


@pytest.fixture
def coco(tmp_path):
    return load_coco(*coco_files.write(tmp_path))


@pytest.fixture(scope="module")
def scenes():
    pytest.importorskip("sklearn")
    return load_digit_scenes(5, image_size=32, digits=(1, 4))


def stream(**changes):
    """Elements of a `tf.data.Dataset`: one box, one crowd, one tiny box."""
    boxes = [[2, 3, 12, 9], [0, 0, 5, 5], [1, 1, 1.5, 9]]
    example = {
        "image": np.arange(20 * 30 * 3, dtype="uint8").reshape(20, 30, 3),
        "boxes": np.array(boxes, "float32"),
        "labels": np.array([4, 5, 6], "int64"),
        "crowd": np.array([False, True, False]),
        "image_id": np.int64(2**40),
        "masks": np.ones((3, 20, 30), "uint8"),
    }
    example = {k: v for k, v in (example | changes).items() if v is not None}
    return tf.data.Dataset.from_tensors(example)


def take(dataset, count, *arguments, **options):
    batches = detection_batches(dataset, *arguments, **options)
    return list(batches.take(count).as_numpy_iterator())


def assert_format(batch, height, width, count):
    batch_size = len(batch["images"])
    shapes = {
        "images": (height, width, 3),
        "image_sizes": (2,),
        "boxes": (count, 4),
        "labels": (count,),
        "valid": (count,),
        "masks": (count, height, width),
        "image_ids": (),
        "original_sizes": (2,),
    }
    for name, array in batch.items():
        assert array.shape == (batch_size, *shapes[name])
        assert array.dtype.name == DTYPES[name]


def test_batches_have_the_documented_format(coco):
    batches = take(coco, 6, 2, CROPS, max_boxes=5, with_masks=True)
    for batch in batches:
        height, width = batch["images"].shape[1:3]
        assert height % 32 == width % 32 == 0
        assert_format(batch, height, width, 5)
        assert set(batch) == set(DTYPES) - {"image_ids", "original_sizes"}
        # Objects come first, and nothing else is anywhere.
        valid = batch["valid"]
        assert (np.sort(valid)[:, ::-1] == valid).all()
        assert (batch["labels"][~valid] == -1).all()
        assert set(batch["labels"][valid]) <= {0, 1}
        assert not batch["boxes"][~valid].any()
        assert not batch["masks"][~valid].any()
        for index, (rows, columns) in enumerate(batch["image_sizes"]):
            outside = np.ones((height, width), bool)
            outside[:rows, :columns] = False
            assert not batch["images"][index, outside].any()
            assert not batch["masks"][index][:, outside].any()
            boxes = batch["boxes"][index]
            assert (boxes <= [columns, rows, columns, rows]).all()


def test_nothing_to_do_changes_nothing(coco):
    (batch,) = take(coco, 1, 3, None, with_masks=True, shuffle=False)
    assert_format(batch, 32, 64, 100)
    assert batch["image_sizes"].tolist() == [[16, 40], [21, 34], [21, 34]]
    assert batch["valid"].sum(axis=1).tolist() == [0, 2, 0]
    row = coco_files.content()["images"][0]
    image = batch["images"][1, :21, :34]
    np.testing.assert_array_equal(image, coco_files.pixels(row))
    boxes = [[2, 3, 12, 9], [20, 5, 34, 21]]
    np.testing.assert_array_equal(batch["boxes"][1, :2], boxes)
    assert batch["labels"][1, :3].tolist() == [1, 0, -1]
    masks = [coco_files.POLYGON_MASK, coco_files.RUNS_MASK]
    np.testing.assert_array_equal(batch["masks"][1, :2, :21, :34], masks)


def test_sizes_may_be_fixed(coco):
    options = {"fixed_size": (64, 96), "with_masks": True, "max_boxes": 3}
    batches = detection_batches(coco, 2, SMALL, **options)
    spec = batches.element_spec
    assert {name: part.dtype.name for name, part in spec.items()}.items() <= (
        DTYPES.items()
    )
    assert spec["images"].shape == (2, 64, 96, 3)
    assert spec["masks"].shape == (2, 3, 64, 96)
    for batch in batches.take(3).as_numpy_iterator():
        assert_format(batch, 64, 96, 3)
    text = r"`fixed_size` must hold.*\(32, 64\), and .*png has \(4\d, \d\d\)"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        take(coco, 9, 2, CROPS, fixed_size=(32, 64))


def test_objects_without_a_place_are_an_error(coco, scenes):
    take(coco, 1, 1, SMALL, max_boxes=2)
    text = r"`max_boxes` must be at least 2.*b\.png.*max_boxes=1"
    with pytest.raises(ValueError, match=text):
        detection_batches(coco, 1, SMALL, max_boxes=1)
    with pytest.raises(ValueError, match=text):
        detection_examples(coco, with_boxes=True, max_boxes=1)
    most = int(scenes.valid.sum(axis=1).max())
    with pytest.raises(ValueError, match=f"at least {most}.*scene"):
        detection_batches(scenes, 1, None, max_boxes=most - 1)
    boxes = stream(crowd=None, boxes=np.full((3, 4), [0, 0, 9, 9], "float32"))
    text = f"at least 3, the number of boxes in image {2**40}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        take(boxes, 1, 1, None, max_boxes=2)


def keys(batches):
    """What is in batches, as numbers."""
    return [int(image.astype(int).sum()) for b in batches for image in b]


def images(dataset, count, **options):
    found = take(dataset, count, 1, CROPS, fixed_size=(96, 96), **options)
    return [batch["images"] for batch in found]


def test_batches_follow_from_the_seed_alone(coco):
    tf.random.set_seed(1)
    one = keys(images(coco, 9, seed=5))
    tf.random.set_seed(2)
    assert keys(images(coco, 9, seed=5)) == one
    assert keys(images(coco, 9, seed=6)) != one
    # Every pass is another one.
    assert one[:3] != one[3:6]


def test_a_training_is_resumed(coco):
    for shuffle in (True, False):
        whole = keys(images(coco, 9, shuffle=shuffle))
        found = keys(images(coco, 5, shuffle=shuffle, start=4))
        assert found == whole[4:]


def test_without_shuffling_pictures_keep_their_order(scenes):
    found = take(scenes, 2, 5, None, shuffle=False)
    for batch in found:
        np.testing.assert_array_equal(batch["images"], scenes.images)
    shuffled = take(scenes, 2, 5, None)
    totals = [sorted(keys([batch["images"]])) for batch in shuffled]
    assert totals[0] == totals[1] == sorted(keys([scenes.images]))


def test_shards_share_the_pictures(scenes):
    found = [
        take(scenes, 1, 2, None, shuffle=False, shard=(2, index))[0]["images"]
        for index in range(2)
    ]
    np.testing.assert_array_equal(found[0], scenes.images[[0, 2]])
    np.testing.assert_array_equal(found[1], scenes.images[[1, 3]])
    with pytest.raises(ValueError, match="nothing to read: 5 pictures"):
        detection_batches(scenes, 1, None, shard=(6, 5))


def test_shards_are_augmented_in_their_own_ways():
    def shard(index):
        batches = take(stream(), 1, 8, CROPS, shard=(2, index))
        return batches[0]["image_sizes"].tolist()

    assert shard(0) != shard(1)


def test_scenes_are_the_batch_that_they_say(scenes):
    slots = scenes.valid.shape[1]
    options = {"max_boxes": slots, "with_masks": True, "shuffle": False}
    (found,) = take(scenes, 1, 5, None, **options)
    for name, wanted in scenes.detection().items():
        np.testing.assert_array_equal(found[name], wanted)


def test_evaluation_is_one_pass_in_order(coco):
    batches = list(detection_examples(coco, 2, (68, 42)).as_numpy_iterator())
    names = {"images", "image_sizes", "image_ids", "original_sizes"}
    assert all(set(batch) == names for batch in batches)
    assert [batch["image_ids"].tolist() for batch in batches] == [[9, 42], [50]]
    sizes = [size for one in batches for size in one["image_sizes"].tolist()]
    assert sizes == [[27, 68], [42, 68], [42, 68]]
    sizes = [size for one in batches for size in one["original_sizes"].tolist()]
    assert sizes == [[16, 40], [21, 34], [21, 34]]
    assert_format(batches[0], 64, 96, 0)


def test_evaluation_may_have_what_is_to_be_found(coco):
    examples = detection_examples(
        coco, 3, (68, 42), with_boxes=True, with_masks=True, max_boxes=2
    )
    (batch,) = examples.as_numpy_iterator()
    assert_format(batch, 64, 96, 2)
    boxes = np.array([[2, 3, 12, 9], [20, 5, 34, 21]]) * 2
    np.testing.assert_array_equal(batch["boxes"][1], boxes)
    assert batch["masks"].sum(axis=(1, 2, 3)).tolist() == [0, 284 * 4, 0]


def test_streams_hold_what_data_sets_hold():
    (batch,) = take(stream(), 1, 2, None, 3, with_masks=True)
    assert_format(batch, 32, 32, 3)
    assert batch["valid"].tolist() == [[True, False, False]] * 2
    assert batch["labels"].tolist() == [[4, -1, -1]] * 2
    assert batch["boxes"][0, 0].tolist() == [2, 3, 12, 9]
    assert batch["masks"].sum(axis=(1, 2, 3)).tolist() == [600, 600]
    (one,) = detection_examples(stream(masks=None)).as_numpy_iterator()
    assert one["image_ids"].tolist() == [2**40]
    least = stream(masks=None, crowd=None, image_id=None)
    (batch,) = take(least, 1, 1, None)
    assert batch["labels"][0, :3].tolist() == [4, 5, -1]


@pytest.mark.parametrize(
    "changes",
    [
        {"image": None},
        {"boxes": None},
        {"masks": None},
        {"image": np.zeros((4, 4, 3), "float32")},
        {"image": np.zeros((2, 4, 4, 3), "uint8")},
        {"labels": np.zeros(3, "float32")},
        {"crowd": np.array(False)},
    ],
)
def test_other_streams_are_refused(changes):
    with pytest.raises(ValueError, match="`dataset` must have.*Received"):
        detection_batches(stream(**changes), 1, None, with_masks=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"boxes": np.zeros((2, 4), "float32")},
        {"boxes": np.zeros((3, 5), "float32")},
        {"boxes": np.full((3, 4), np.nan, "float32")},
        {"labels": np.array([0, 1, -1])},
        {"masks": np.zeros((3, 20, 31), "uint8")},
        {"image": np.zeros((20, 30, 1), "uint8")},
    ],
)
def test_examples_that_do_not_fit_are_named(changes):
    text = f"Every object must have.*in image {2**40}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        take(stream(**changes), 1, 1, None, with_masks=True)


def test_broken_pictures_are_named(coco, tmp_path):
    (tmp_path / "images" / "b.png").write_bytes(b"no picture")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"b\.png"):
        take(coco, 3, 1, SMALL)
    (tmp_path / "images" / "b.png").unlink()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"b\.png"):
        take(coco, 3, 1, SMALL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("start", -1),
        ("seed", -1),
        ("max_boxes", 0),
        ("shard", (2, 2)),
        ("fixed_size", (64, 65)),
        ("fixed_size", 64),
    ],
)
def test_arguments_out_of_range_are_named(coco, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be.*{name}="):
        detection_batches(coco, **{name: value})


@pytest.mark.parametrize("scale", [800, (0, 800), (1333.0, 800)])
def test_scales_of_evaluation_are_sizes(coco, scale):
    with pytest.raises(ValueError, match="`scale` must be.*scale="):
        detection_examples(coco, 1, scale)


def test_masks_need_boxes(coco):
    with pytest.raises(ValueError, match="`with_masks` needs `with_boxes`"):
        detection_examples(coco, with_masks=True)


class Model(keras.Model):
    """Takes a batch as a detector does, and learns the number of objects."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, batch):
        pixels = keras.ops.cast(batch["images"], "float32") / 255
        found = self.dense(keras.ops.mean(pixels, axis=(1, 2)))[:, 0]
        valid = keras.ops.cast(batch["valid"], "float32")
        masks = keras.ops.cast(batch["masks"], "float32")
        count = keras.ops.sum(valid * keras.ops.max(masks, axis=(2, 3)), -1)
        self.add_loss(keras.ops.mean(keras.ops.square(found - count)))
        return found


def test_models_are_trained_on_batches(coco):
    options = {"fixed_size": (96, 96), "max_boxes": 3, "with_masks": True}
    batches = detection_batches(coco, 2, SMALL, **options)
    model = Model()
    model.compile("sgd", jit_compile=keras.backend.backend() == "jax")
    history = model.fit(batches, steps_per_epoch=3, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    examples = detection_examples(
        coco, 2, (70, 40), with_boxes=True, with_masks=True, max_boxes=3
    )
    assert model.predict(examples, verbose=0).shape == (3,)


def tfds(monkeypatch):
    """Puts tensorflow-datasets in place, with the features of its catalogue."""
    calls = []

    def load(name, **options):
        calls.append((name, options))
        return tf.data.Dataset.from_tensors(
            {
                "image": np.zeros((20, 40, 3), "uint8"),
                "image/filename": "000000000139.jpg",
                "image/id": np.int64(139),
                "objects": {
                    "area": np.array([50, 9]),
                    "bbox": np.array(
                        [[0.5, 0.25, 1.0, 0.5], [0, 0, 1, 1]], "float32"
                    ),
                    "id": np.array([1, 2]),
                    "is_crowd": np.array([False, True]),
                    "label": np.array([0, 79]),
                },
            }
        )

    stand_in = types.SimpleNamespace(load=load)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", stand_in)
    return calls


def test_coco_of_tensorflow_datasets(monkeypatch):
    calls = tfds(monkeypatch)
    found = load_coco_tfds("validation", "/data")
    options = {"split": "validation", "data_dir": "/data"}
    assert calls == [("coco/2017", options | {"shuffle_files": False})]
    (example,) = found.as_numpy_iterator()
    assert example["boxes"].tolist() == [[10, 10, 20, 20], [0, 0, 40, 20]]
    assert example["labels"].tolist() == [0, 79]
    (batch,) = take(found, 1, 1, None)
    assert batch["labels"][0, :2].tolist() == [0, -1]
    (batch,) = detection_examples(found).as_numpy_iterator()
    assert batch["image_ids"].tolist() == [139]


def test_missing_packages_name_the_extra(coco, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"tensorflow-datasets.*\[data\]"):
        load_coco_tfds()
    monkeypatch.setitem(sys.modules, "pycocotools.mask", None)
    with pytest.raises(ImportError, match=r"pycocotools.*\[data\]"):
        detection_batches(coco, 1, SMALL, with_masks=True)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for prepare in (detection_batches, detection_examples):
        with pytest.raises(ImportError, match=r"keras-twins\[tensorflow\]"):
            prepare(coco)
