import keras
import numpy as np
import pytest

from keras_twins.detection.validation import CocoCallback
from keras_twins.detection.validation import evaluate_detection
from tests.detection.coco_sets import truth

BOXES = [[100, 100, 200, 200], [20, 30, 120, 140], [0, 0, 60, 50]]


class Reader(keras.Model):
    """Detects the box that the first two pixels of an image say."""

    num_classes = 3

    def __init__(self, with_masks=False):
        super().__init__()
        self.with_masks = with_masks
        self.batches = []

    def build(self, _):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, batch):
        images = keras.ops.cast(batch["images"], "float32")
        self.batches.append(tuple(images.shape))
        first, second = images[:, 0, 0], images[:, 0, 1]
        box = keras.ops.concatenate([first, second[:, :1]], axis=-1)
        ratio = keras.ops.cast(batch["original_sizes"][:, :1], "float32")
        box = box * ratio / images.shape[1] * self.scale
        result = {
            "boxes": box[:, None],
            "scores": second[:, 1:2] / 255,
            "labels": keras.ops.cast(second[:, 2:], "int32"),
            "valid": second[:, 1:2] > 0,
        }
        if self.with_masks:
            size = keras.ops.shape(images)[0], 1, 28, 28
            result["masks"] = keras.ops.ones(size)
        return result

    def compute_loss(self, *_, **__):
        return keras.ops.square(self.scale - 1)


def batch(*ids, side=200, **others):
    """Images of half the size of the original."""
    images = np.zeros((len(ids), side, side, 3), "uint8")
    for image, i in zip(images, ids, strict=True):
        image[0, 0] = [x // 2 for x in BOXES[i][:3]]
        image[0, 1] = BOXES[i][3] // 2, 200, i % 3
    sizes = np.full((len(ids), 2), 2 * side, "int32")
    return {
        "images": images,
        "original_sizes": sizes,
        "image_ids": np.array(ids),
        **others,
    }


TRUTHS = [truth(i, [box], [i]) for i, box in enumerate(BOXES)]


class Sequence(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.parts = [batch(0, 1), batch(2)]

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, index):
        return self.parts[index]


def test_batches_of_any_kind():
    """The last batch is filled up: one shape is compiled."""
    for batches in (
        [batch(0, 1), batch(2)],
        iter([batch(0, 1), batch(2, boxes=np.zeros((1, 4, 4)))]),
        Sequence(),
    ):
        model = Reader()
        result = evaluate_detection(
            model, batches, TRUTHS, names=["a", "b", "c"], verbose=0
        )
        assert result["box_AP"] == pytest.approx(1)
        assert set(result["box_class_AP"]) == {"a", "b", "c"}
        assert {shape[0] for shape in model.batches} <= {2, None}
        assert not any(name.startswith("mask") for name in result)


def test_data_sets_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    parts = {
        k: np.concatenate([batch(i)[k] for i in range(3)]) for k in batch(0)
    }
    data = tf.data.Dataset.from_tensor_slices(parts).batch(2)
    for batches in (data, data.repeat().take(2)):
        result = evaluate_detection(Reader(), batches, TRUTHS, verbose=0)
        assert result["box_AP"] == pytest.approx(1)


def test_masks_are_compared_where_there_are_some():
    masks = np.zeros((1, 400, 400), bool)
    masks[0, 100:200, 100:200] = True
    image = truth(0, [BOXES[0]], [0], masks=masks)
    model = Reader(with_masks=True)
    result = evaluate_detection(model, [batch(0)], [image], verbose=0)
    assert result["mask_AP"] == pytest.approx(1)
    result = evaluate_detection(
        model, [batch(0)], [image], kinds=["bbox"], verbose=0
    )
    assert "mask_AP" not in result


def test_progress_is_shown(capsys):
    evaluate_detection(Reader(), [batch(0, 1, 2)], TRUTHS)
    assert "1/1" in capsys.readouterr().out


def test_images_that_never_came():
    with pytest.warns(UserWarning, match="2 of 3 images came in no batch"):
        result = evaluate_detection(Reader(), [batch(0)], TRUTHS, verbose=0)
    assert result["box_AP"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "must not be empty"),
        ([{"images": np.zeros((1, 32, 32, 3))}], r"keys \['images'\]"),
        ([np.zeros((1, 32, 32, 3))], "Received: ndarray"),
    ],
)
def test_wrong_batches(batches, message):
    with pytest.raises(ValueError, match=message):
        evaluate_detection(Reader(), batches, TRUTHS, verbose=0)


def test_a_model_that_does_not_tell_its_classes():
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="`num_classes` must be given"):
        evaluate_detection(model, [batch(0)], TRUTHS, verbose=0)


@pytest.mark.parametrize(("every", "epochs"), [(1, [0, 1]), (2, [1])])
def test_scores_are_in_the_logs(every, epochs):
    seen = {}

    class Spy(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if "val_box_AP" in logs:
                seen[epoch] = dict(logs)

    model = Reader()
    model.compile("sgd")
    callback = CocoCallback([batch(0, 1), batch(2)], TRUTHS, every=every)
    x = {k: v for k, v in batch(0, 1).items() if k != "image_ids"}
    history = model.fit(
        x, epochs=2, batch_size=2, verbose=0, callbacks=[callback, Spy()]
    )
    assert list(seen) == epochs
    for logs in seen.values():
        assert logs["val_box_AP"] == pytest.approx(1)
        assert isinstance(logs["val_box_AP50"], float) and "loss" in logs
        assert not any(isinstance(value, dict) for value in logs.values())
    assert history.history["val_box_AP"] == pytest.approx([1] * len(epochs))
    assert callback.result["box_class_AP"]["class 0"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("batches", "every", "message"),
    [
        ([], 0, "`every` must be positive"),
        (iter([]), 1, "ends after one epoch"),
    ],
)
def test_wrong_arguments_of_the_callback(batches, every, message):
    with pytest.raises(ValueError, match=message):
        CocoCallback(batches, TRUTHS, every=every)


def test_predictions_in_pixels_of_another_size():
    wrong = batch(0, original_sizes=np.array([[200, 200]]))
    with pytest.raises(ValueError, match="give `original_sizes`"):
        evaluate_detection(Reader(), [wrong], TRUTHS, verbose=0)
