import json
import pathlib

import keras
import numpy as np
import pytest

from keras_twins.detection.losses import binary_cross_entropy
from keras_twins.detection.losses import l1_loss
from keras_twins.detection.losses import mask_cross_entropy
from keras_twins.detection.losses import sigmoid_focal_loss
from keras_twins.detection.losses import softmax_cross_entropy
from tests.compiling import call_compiled
from tests.gradients import gradients_of
from tests.tiny import to_numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "units_mm.json"
DIVISOR = 13
HUGE = np.array([-1e38, -1e4, -90, -1, 0, 1, 90, 1e4, 1e38], dtype="float32")


def generator(seed):
    return np.random.Generator(np.random.PCG64(seed))


def normal(seed, *shape):
    return generator(seed).standard_normal(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def expected():
    cases = json.loads(GOLDEN.read_text())["cases"]
    return next(c["values"] for c in cases if c["name"] == "losses")


@pytest.fixture(scope="module")
def candidates():
    """Logits, labels (20 is the background) and weights of candidates."""
    labels = generator(7901).integers(0, 21, 50)
    return normal(7900, 50, 20) * 2, labels, np.abs(normal(7902, 50))


def weighted(losses, weights):
    losses = to_numpy(losses)
    weights = weights.reshape(-1, *[1] * (losses.ndim - 1))
    return (losses * weights).sum() / DIVISOR


def test_focal_loss_of_mmdetection(expected, candidates):
    logits, labels, weights = candidates
    value = weighted(sigmoid_focal_loss(logits, labels), weights)
    np.testing.assert_allclose(value, expected["focal"], rtol=1e-6)


def test_cross_entropy_of_mmdetection(expected, candidates):
    logits, labels, weights = candidates
    logits = np.concatenate([logits, normal(7908, 50, 1)], axis=1)
    value = weighted(softmax_cross_entropy(logits, labels), weights)
    np.testing.assert_allclose(value, expected["ce"], rtol=1e-6)


def test_binary_cross_entropy_of_mmdetection(expected, candidates):
    logits, labels, weights = candidates
    value = weighted(
        binary_cross_entropy(logits[:, 0], labels % 2 == 0), weights
    )
    np.testing.assert_allclose(value, expected["bce_rpn"], rtol=1e-6)


def test_l1_loss_of_mmdetection(expected, candidates):
    losses = l1_loss(normal(7904, 50, 4), normal(7903, 50, 4))
    value = weighted(losses, candidates[2])
    np.testing.assert_allclose(value, expected["l1"], rtol=1e-6)


def test_mask_cross_entropy_of_mmdetection(expected):
    logits = normal(7905, 6, 20, 28, 28).transpose(0, 2, 3, 1)
    targets = generator(7906).uniform(size=(6, 28, 28)) > 0.5
    labels = generator(7907).integers(0, 20, 6)
    losses = to_numpy(mask_cross_entropy(logits, targets, labels))
    assert losses.shape == (6,)
    np.testing.assert_allclose(losses.mean(), expected["mask_ce"], rtol=1e-6)


@pytest.mark.parametrize("alpha, gamma", [(0.25, 2.0), (0.7, 0.5), (0.5, 0.0)])
def test_focal_loss_is_its_formula(alpha, gamma, candidates):
    logits, labels, _ = candidates
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    present = np.arange(20) == labels[:, None]
    p_t = np.where(present, p, 1 - p)
    alpha_t = np.where(present, alpha, 1 - alpha)
    formula = -alpha_t * (1 - p_t) ** gamma * np.log(p_t)
    losses = sigmoid_focal_loss(logits, labels, alpha, gamma)
    np.testing.assert_allclose(to_numpy(losses), formula, rtol=1e-5)


def test_labels_outside_are_background(candidates):
    logits, _, _ = candidates
    losses = [
        to_numpy(sigmoid_focal_loss(logits, np.full(50, label)))
        for label in (20, -1, 99)
    ]
    np.testing.assert_array_equal(losses[0], losses[1])
    np.testing.assert_array_equal(losses[0], losses[2])


def focal(gamma):
    labels = np.array([0, 1] * 9)

    def function(x):
        rows = keras.ops.repeat(keras.ops.reshape(x, (-1, 1)), 2, axis=0)
        return sigmoid_focal_loss(rows, labels, gamma=gamma)

    return function


def softmax(x):
    rows = keras.ops.reshape(x, (3, 3))
    return softmax_cross_entropy(rows, np.array([0, 1, 2]))


def binary(target):
    return lambda x: binary_cross_entropy(x, np.full(9, target))


def mask(x):
    maps = keras.ops.reshape(x, (1, 3, 1, 3))
    return mask_cross_entropy(maps, np.ones((1, 3, 1)), np.array([1]))


@pytest.mark.parametrize(
    "function",
    [focal(2.0), focal(0.5), focal(0.0), softmax, binary(0), binary(1), mask],
    ids=["focal", "focal-0.5", "focal-0", "softmax", "no", "yes", "mask"],
)
def test_huge_logits_have_finite_losses_and_gradients(function):
    losses = to_numpy(function(keras.ops.convert_to_tensor(HUGE)))
    assert np.isfinite(losses).all()
    (gradients,) = gradients_of(function, [HUGE])
    assert np.isfinite(gradients).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_losses_are_float32(dtype, candidates):
    logits, labels, _ = candidates
    logits = keras.ops.cast(logits, dtype)
    wide = keras.ops.cast(logits, "float32")
    masks = keras.ops.reshape(logits, (5, 2, 5, 20))
    for function in (
        lambda x: sigmoid_focal_loss(x, labels),
        lambda x: softmax_cross_entropy(x, labels % 20),
        lambda x: binary_cross_entropy(x, x > 0),
        lambda x: l1_loss(x, keras.ops.zeros_like(x)),
    ):
        losses = function(logits)
        assert keras.backend.standardize_dtype(losses.dtype) == "float32"
        np.testing.assert_allclose(
            to_numpy(losses), to_numpy(function(wide)), rtol=1e-6
        )
    losses = mask_cross_entropy(masks, masks[..., 0] > 0, labels[:5])
    assert keras.backend.standardize_dtype(losses.dtype) == "float32"


def test_masks_of_other_classes_have_no_gradient():
    logits = normal(0, 2, 3, 3, 4)
    targets = normal(1, 2, 3, 3) > 0
    # The second region is padding.
    labels = np.array([2, 4])
    (gradients,) = gradients_of(
        lambda x: mask_cross_entropy(x, targets, labels), [logits]
    )
    assert gradients[0, ..., 2].all()
    assert not np.delete(gradients[0], 2, axis=-1).any()
    assert not gradients[1].any()


def test_leading_axes(candidates):
    logits, labels, _ = candidates
    flat = to_numpy(sigmoid_focal_loss(logits, labels))
    folded = call_compiled(
        lambda x: sigmoid_focal_loss(x, labels.reshape(2, 25)),
        keras.ops.reshape(logits, (2, 25, 20)),
    )
    np.testing.assert_allclose(
        to_numpy(folded), flat.reshape(2, 25, 20), rtol=1e-6
    )
