import json
import math

import keras
import numpy as np
import pytest

from keras_twins.segmentation import InferenceSettings
from keras_twins.segmentation import evaluate_segmentation

AS_IS = InferenceSettings(resize=None)


def seer(classes: int) -> keras.Model:
    """A model that reads the class of a pixel from its red value."""
    image = keras.Input((None, None, 3))
    red = keras.layers.Lambda(
        lambda x: (
            -keras.ops.abs(
                x[..., :1] - keras.ops.arange(classes, dtype="float32")
            )
        ),
        output_shape=(None, None, classes),
    )
    return keras.Model(image, red(image))


def example(seen, labels):
    image = np.zeros((*np.shape(seen), 3), "uint8")
    image[..., 0] = seen
    return image, np.asarray(labels, "uint8")


def test_scores_over_images_of_different_sizes():
    rng = np.random.default_rng(0)
    examples = []
    for size in ((33, 40), (48, 32)):
        labels = rng.integers(0, 3, size)
        seen = np.where(
            rng.random(size) < 0.7, labels, rng.integers(0, 3, size)
        )
        labels[:4] = 255
        examples.append(example(seen, labels))
    said = []
    scores = evaluate_segmentation(
        seer(4), examples, num_classes=4, settings=AS_IS, say=said.append
    )
    assert scores.images == len(said) == 2
    true = np.concatenate([labels.ravel() for _, labels in examples])
    seen = np.concatenate([image[..., 0].ravel() for image, _ in examples])
    seen, true = seen[true != 255], true[true != 255]
    ious, accuracies = [], []
    for label in range(3):
        both = ((seen == label) & (true == label)).sum()
        ious.append(both / ((seen == label) | (true == label)).sum())
        accuracies.append(both / (true == label).sum())
    np.testing.assert_allclose(scores.class_iou[:3], ious)
    assert np.isnan(scores.class_iou[3])
    assert scores.mean_iou == pytest.approx(np.mean(ious))
    assert scores.mean_accuracy == pytest.approx(np.mean(accuracies))
    assert scores.pixel_accuracy == pytest.approx((seen == true).mean())
    assert scores.to_dict()["class_iou"][3] is None


def test_nothing_labelled():
    labels = np.full((32, 32), 255)
    scores = evaluate_segmentation(
        seer(3), [example(labels * 0, labels)], 3, AS_IS
    )
    assert math.isnan(scores.mean_iou) and math.isnan(scores.pixel_accuracy)
    assert scores.confusion.sum() == 0
    for nothing in (scores, evaluate_segmentation(seer(3), [], 3, AS_IS)):
        results = json.loads(json.dumps(nothing.to_dict(), allow_nan=False))
        assert results.pop("images") == nothing.images
        assert results.pop("class_iou") == [None] * 3
        assert set(results.values()) == {None}


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (np.zeros((32, 33)), 4, "Image 2: .*size of their image"),
        (np.full((32, 32), 9), 4, r"Image 2: Labels .*such as \[9\]"),
        (np.zeros((32, 32)), 2, "more than 2 classes.*class 3"),
    ],
    ids=["size", "label", "classes"],
)
def test_wrong_labels(labels, classes, message):
    first = example(np.zeros((32, 32)), np.zeros((32, 32)))
    image, _ = example(np.full((32, 32), 3), np.zeros((32, 32)))
    pair = image, np.asarray(labels, "uint8")
    with pytest.raises(ValueError, match=message):
        evaluate_segmentation(seer(4), [first, pair], classes, AS_IS)
