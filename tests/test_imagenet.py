import hashlib
import json

import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils

from keras_twins.imagenet import class_names
from keras_twins.imagenet import decode_predictions


def class_index():
    return {str(i): list(row) for i, row in enumerate(class_names())}


def scores(samples=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.permuted(
        np.linspace(0, 1, 1000 * samples, dtype="float32").reshape(samples, -1),
        axis=1,
    )


def test_the_classes_are_those_of_keras_applications():
    # Keras pins the hash of the file that it downloads.
    content = json.dumps(class_index()).encode()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert digest == "c2c37ea517e94d9795004a39431a14cb"


def test_classes_that_share_a_name_keep_their_wnid():
    cranes = [c.wnid for c in class_names() if c.name == "crane"]
    assert cranes == ["n02012849", "n03126707"]


@pytest.mark.parametrize("top", [1, 5, 1000, 2000])
def test_decode_predictions_agrees_with_keras(monkeypatch, top):
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", class_index())
    preds = scores()
    expected = imagenet_utils.decode_predictions(preds, top=top)
    assert decode_predictions(preds, top=top) == expected


def test_decode_predictions_takes_tensors():
    preds = scores(2)
    tensor = keras.ops.convert_to_tensor(preds)
    assert decode_predictions(tensor) == decode_predictions(preds)


def test_decode_predictions_takes_half_precision():
    preds = np.zeros((1, 1000), "float32")
    preds[0, [386, 0]] = [0.75, 0.25]
    half = keras.ops.cast(preds, "bfloat16")
    (best, second) = decode_predictions(half, top=2)[0]
    assert best == ("n02504458", "African_elephant", 0.75)
    assert second == ("n01440764", "tench", 0.25)


def test_decode_predictions_has_keras_message():
    with pytest.raises(ValueError) as keras_error:
        imagenet_utils.decode_predictions(np.zeros((2, 10)))
    with pytest.raises(ValueError) as error:
        decode_predictions(np.zeros((2, 10)))
    assert str(error.value) == str(keras_error.value)


def test_decode_predictions_refuses_a_single_sample():
    with pytest.raises(ValueError, match=r"array with shape: \(1000,\)"):
        decode_predictions(keras.ops.zeros((1000,)))


def test_decode_predictions_refuses_no_classes():
    with pytest.raises(ValueError, match="top=0"):
        decode_predictions(scores(), top=0)
