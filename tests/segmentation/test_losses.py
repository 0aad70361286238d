import keras
import numpy as np
import pytest

from keras_twins.segmentation.losses import SegmentationCrossEntropy
from tests.compiling import compiled
from tests.gradients import gradients_of
from tests.tiny import images
from tests.tiny import to_numpy

CLASSES = 5


def batch(ignored=True, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, (2, 4, 3))
    if ignored:
        labels[generator.random(labels.shape) < 0.3] = 255
    return labels, 3 * images(2, 4, 3, CLASSES, seed=seed)


def pixel_losses(labels, logits, smoothing=0.0, ignore=255):
    """Returns the loss of each pixel as the formula says it, in float64."""
    logits = logits.astype("float64")
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    known = np.where(labels == ignore, 0, labels)
    target = np.eye(CLASSES)[known] * (1 - smoothing) + smoothing / CLASSES
    return np.where(labels == ignore, 0.0, -(target * log_p).sum(axis=-1))


def value(loss, *arguments):
    return float(to_numpy(loss(*arguments)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignored", [True, False])
def test_mean_over_valid_and_over_all_pixels(smoothing, ignored):
    labels, logits = batch(ignored)
    total = pixel_losses(labels, logits, smoothing).sum()
    valid = (labels != 255).sum()
    for mean_over, divisor in (("valid", valid), ("all", labels.size)):
        loss = SegmentationCrossEntropy(
            mean_over=mean_over, label_smoothing=smoothing
        )
        np.testing.assert_allclose(
            value(loss, labels, logits), total / divisor, rtol=1e-6
        )


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int64"])
@pytest.mark.parametrize("channel", [True, False])
def test_labels_of_any_integer_dtype(dtype, channel):
    labels, logits = batch()
    expected = value(SegmentationCrossEntropy(), labels, logits)
    labels = labels.astype(dtype)
    labels = labels[..., None] if channel else labels
    assert value(SegmentationCrossEntropy(), labels, logits) == expected


def test_sum_and_pixelwise_losses():
    labels, logits = batch()
    expected = pixel_losses(labels, logits)
    pixelwise = SegmentationCrossEntropy(reduction="none")(labels, logits)
    np.testing.assert_allclose(to_numpy(pixelwise), expected, atol=1e-5)
    total = value(SegmentationCrossEntropy(reduction="sum"), labels, logits)
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    "shape", [(2, 4, 3), (2, 4, 3, 1), (2, 1, 1), (2, 1), (2,)]
)
def test_sample_weights_multiply_the_losses(shape):
    labels, logits = batch()
    weights = np.random.default_rng(1).random(shape).astype("float32")
    spread = weights.reshape((*shape, 1, 1)[:3])
    expected = (pixel_losses(labels, logits) * spread).sum()
    np.testing.assert_allclose(
        value(SegmentationCrossEntropy(), labels, logits, weights),
        expected / (labels != 255).sum(),
        rtol=1e-6,
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_probabilities_give_what_their_logits_give(smoothing):
    labels, logits = batch()
    probabilities = to_numpy(keras.ops.softmax(logits))
    results = [
        value(
            SegmentationCrossEntropy(
                from_logits=from_logits, label_smoothing=smoothing
            ),
            labels,
            predicted,
        )
        for from_logits, predicted in ((True, logits), (False, probabilities))
    ]
    np.testing.assert_allclose(results[1], results[0], rtol=1e-4)


@pytest.mark.parametrize("mean_over", ["valid", "all"])
def test_gradients_are_those_of_the_softmax(mean_over):
    labels, logits = batch()

    def loss(logits):
        result = SegmentationCrossEntropy(mean_over=mean_over)(labels, logits)
        # `gradients_of` takes the gradient of the cosine.
        return keras.ops.arccos(0.5 * keras.ops.tanh(result))

    (gradient,) = gradients_of(loss, [logits])
    valid = labels != 255
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = (p - np.eye(CLASSES)[np.where(valid, labels, 0)]) * valid[
        ..., None
    ]
    mean = valid.sum() if mean_over == "valid" else valid.size
    total = pixel_losses(labels, logits).sum() / mean
    expected *= 0.5 / np.cosh(total) ** 2 / mean
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize("mean_over", ["valid", "all"])
def test_without_labelled_pixels_loss_and_gradients_are_zero(mean_over):
    labels, logits = batch()
    labels[:] = 255
    loss = SegmentationCrossEntropy(mean_over=mean_over)
    assert value(loss, labels, logits) == 0
    (gradient,) = gradients_of(
        lambda x: keras.ops.exp(loss(labels, x)), [logits]
    )
    assert not gradient.any()


@pytest.mark.parametrize("label", [CLASSES, -1])
@pytest.mark.parametrize("ignore", [0, 255, None])
def test_a_wrong_label_that_weighs_nothing_does_not_show(label, ignore):
    labels, logits = batch(ignored=False)
    expected = pixel_losses(labels, logits, ignore=ignore)
    weights = np.ones(labels.shape, "float32")
    weights[0, 0, 0] = expected[0, 0, 0] = 0
    labels[0, 0, 0] = label
    loss = SegmentationCrossEntropy(ignore_class=ignore, mean_over="all")
    np.testing.assert_allclose(
        value(loss, labels, logits, weights), expected.mean(), rtol=1e-6
    )
    assert np.isnan(value(loss, labels, logits, np.ones_like(weights)))


@pytest.mark.parametrize("label", [CLASSES, 254, -1, 0.5, float("nan")])
def test_a_wrong_label_shows_in_the_loss_and_not_in_the_gradients(label):
    labels, logits = batch()
    labels = labels.astype("float32")
    assert np.isfinite(value(SegmentationCrossEntropy(), labels, logits))
    labels[0, 0, 0] = label
    loss = SegmentationCrossEntropy()
    assert np.isnan(value(loss, labels, logits))
    model = keras.Sequential(
        [keras.Input((4, 3, CLASSES)), keras.layers.Conv2D(CLASSES, 1)]
    )
    model.compile(optimizer="sgd", loss=loss)
    assert np.isnan(model.train_on_batch(logits, labels))
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_any_label_can_be_the_ignored_one():
    labels, logits = batch(ignored=False)
    for ignore in (0, -1, None):
        loss = SegmentationCrossEntropy(ignore_class=ignore, mean_over="all")
        expected = pixel_losses(labels, logits, ignore=ignore).mean()
        np.testing.assert_allclose(
            value(loss, labels, logits), expected, rtol=1e-6
        )
    labels[0, 0, 0] = 255
    loss = SegmentationCrossEntropy(ignore_class=None)
    assert np.isnan(value(loss, labels, logits))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    labels, logits = batch()
    half = keras.ops.cast(100 * logits, dtype)
    result = SegmentationCrossEntropy(dtype=dtype)(labels, half)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    wide = to_numpy(keras.ops.cast(half, "float32"))
    np.testing.assert_allclose(
        to_numpy(result),
        value(SegmentationCrossEntropy(), labels, wide),
        rtol=1e-6,
    )


def test_it_compiles():
    labels, logits = batch()
    loss = SegmentationCrossEntropy(label_smoothing=0.1)
    expected = value(loss, labels, logits)
    for run in compiled(loss):
        np.testing.assert_allclose(
            value(run, labels.astype("uint8"), logits), expected, rtol=1e-6
        )


def test_it_comes_back_from_its_configuration():
    loss = SegmentationCrossEntropy(
        7, False, "all", 0.1, reduction="sum", name="x"
    )
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is SegmentationCrossEntropy
    assert again.get_config() == loss.get_config()
    assert again.label_smoothing == 0.1 and again.ignore_class == 7


@pytest.mark.parametrize(
    "shape", [(2, 4), (2, 3, 4), (1, 4, 3), (2, 4, 3, 2), (2, 8, 6, 1)]
)
def test_labels_of_another_size_are_refused(shape):
    _, logits = batch()
    with pytest.raises(ValueError, match="labels of shape"):
        SegmentationCrossEntropy()(np.zeros(shape, "int32"), logits)


@pytest.mark.parametrize(
    "arguments",
    [{"mean_over": "some"}, {"label_smoothing": 1.5}, {"reduction": "median"}],
)
def test_wrong_arguments_are_named(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"Received: {name}="):
        SegmentationCrossEntropy(**arguments)
