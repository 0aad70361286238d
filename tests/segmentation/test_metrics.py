import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins.segmentation.confusion import ConfusionMetric
from keras_twins.segmentation.metrics import MeanAccuracy
from keras_twins.segmentation.metrics import MeanIoU
from keras_twins.segmentation.metrics import PixelAccuracy
from keras_twins.segmentation.metrics import SegmentationMetrics
from tests.compiling import compiled
from tests.tiny import to_numpy

CLASSES = 5
SINGLE = {
    "mean_iou": MeanIoU,
    "mean_accuracy": MeanAccuracy,
    "pixel_accuracy": PixelAccuracy,
}


def batch(seed=0, shape=(2, 4, 3), classes=CLASSES, share_ignored=0.2):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, shape)
    labels[generator.random(shape) < share_ignored] = 255
    scores = generator.standard_normal((*shape, CLASSES), dtype="float32")
    return labels, scores


def matrix_of(labels, predicted, counted=True):
    matrix = np.zeros((CLASSES, CLASSES), "int64")
    chosen = (labels != 255) & counted
    np.add.at(matrix, (labels[chosen], predicted[chosen]), 1)
    return matrix


def scores_of(matrix):
    """Returns the three scores as mmsegmentation defines them."""
    matrix = matrix.astype("float64")
    hits, pixels = np.diag(matrix), matrix.sum(axis=1)
    union = pixels + matrix.sum(axis=0) - hits
    with np.errstate(invalid="ignore"):
        iou, accuracy = hits / union, hits / pixels
    return {
        "mean_iou": np.nanmean(iou) if union.any() else 0.0,
        "mean_accuracy": np.nanmean(accuracy) if pixels.any() else 0.0,
        "pixel_accuracy": hits.sum() / max(pixels.sum(), 1),
    }


def check_scores(metric, matrix):
    expected = scores_of(matrix)
    result = {name: to_numpy(s) for name, s in metric.result().items()}
    assert result.keys() == expected.keys()
    for name, score in expected.items():
        np.testing.assert_allclose(result[name], score, rtol=2e-6, atol=1e-7)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, CLASSES),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_random_maps_give_what_numpy_gives(seed, classes, share_ignored):
    labels, scores = batch(seed, classes=classes, share_ignored=share_ignored)
    metric = SegmentationMetrics(CLASSES)
    metric.update_state(labels, scores)
    matrix = matrix_of(labels, scores.argmax(axis=-1))
    np.testing.assert_array_equal(metric.confusion_matrix(), matrix)
    check_scores(metric, matrix)


@pytest.mark.parametrize("name", SINGLE)
def test_each_metric_gives_one_of_the_scores(name):
    labels, scores = batch()
    metric = SINGLE[name](CLASSES)
    assert metric.name == name
    result = metric(labels.astype("uint8")[..., None], scores)
    expected = scores_of(matrix_of(labels, scores.argmax(axis=-1)))[name]
    np.testing.assert_allclose(to_numpy(result), expected, rtol=1e-6)


def test_scores_of_each_class():
    labels = np.array([[[0, 0, 1, 255]]])
    predicted = np.array([[[0, 2, 1, 3]]])
    metric = MeanIoU(CLASSES)
    metric.update_state(labels, predicted)
    nan = np.nan
    np.testing.assert_array_equal(metric.class_iou(), [0.5, 1, 0, nan, nan])
    np.testing.assert_array_equal(
        metric.class_accuracy(), [0.5, 1, nan, nan, nan]
    )
    assert float(metric.result()) == 0.5


def test_steps_reset_and_merging():
    parts = [batch(seed) for seed in range(3)]
    whole, stepwise = SegmentationMetrics(CLASSES), SegmentationMetrics(CLASSES)
    whole.update_state(*(np.concatenate(x) for x in zip(*parts, strict=True)))
    merged = SegmentationMetrics(CLASSES)
    others = [MeanIoU(CLASSES) for _ in parts]
    for part, other in zip(parts, others, strict=True):
        stepwise.update_state(*part)
        other.update_state(*part)
    merged.merge_state(others)
    for metric in (stepwise, merged):
        np.testing.assert_array_equal(
            metric.confusion_matrix(), whole.confusion_matrix()
        )
    merged.merge_state([merged])
    np.testing.assert_array_equal(
        merged.confusion_matrix(), 2 * whole.confusion_matrix()
    )
    stepwise.reset_state()
    assert not stepwise.confusion_matrix().any()
    assert float(stepwise.result()["mean_iou"]) == 0


def test_counts_are_exact_beyond_32_bits():
    # Doubling takes the counts where float32, and then int32, lose ones.
    labels, scores = batch(shape=(2, 9, 7))
    metric = SegmentationMetrics(CLASSES)
    metric.update_state(labels, scores)
    matrix = matrix_of(labels, scores.argmax(axis=-1))
    for _ in range(36):
        metric.merge_state([metric])
        metric.update_state(labels, scores)
    expected = matrix * (2**37 - 1)
    assert expected.max() > 2**38
    np.testing.assert_array_equal(metric.confusion_matrix(), expected)
    check_scores(metric, expected)


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 4, 3), (2, 4, 3, 1)])
def test_weights_of_zero_leave_pixels_out(shape):
    labels, scores = batch()
    weights = np.random.default_rng(1).integers(0, 2, shape) * 0.5
    weights.flat[:2] = 0, 0.5
    metric = MeanIoU(CLASSES)
    metric.update_state(labels, scores, sample_weight=weights)
    counted = (
        weights.reshape((*shape, 1, 1)[:3])
        if len(shape) < 3
        else (weights.reshape(shape[:3]))
    )
    np.testing.assert_array_equal(
        metric.confusion_matrix(),
        matrix_of(labels, scores.argmax(axis=-1), counted > 0),
    )


@pytest.mark.parametrize(
    ("where", "value"),
    [("label", CLASSES), ("label", 0.5), ("prediction", CLASSES)],
)
def test_what_is_no_class_shows_in_every_result(where, value):
    labels, scores = batch()
    labels, predicted = labels.astype("float32"), scores.argmax(axis=-1)
    labels[0, 0, 0] = 0
    (labels if where == "label" else predicted)[0, 0, 0] = value
    metric = SegmentationMetrics(CLASSES)
    metric.update_state(labels, predicted)
    assert all(np.isnan(float(score)) for score in metric.result().values())
    with pytest.raises(ValueError, match="Received: 1 pixels"):
        metric.confusion_matrix()
    metric.reset_state()
    assert float(metric.result()["mean_iou"]) == 0


def test_any_label_can_be_the_ignored_one():
    labels, scores = batch(share_ignored=0)
    for ignore, count in ((0, (labels != 0).sum()), (None, labels.size)):
        metric = MeanIoU(CLASSES, ignore_class=ignore)
        metric.update_state(labels, scores)
        assert metric.confusion_matrix().sum() == count


def test_it_compiles():
    labels, scores = batch()
    expected = scores_of(matrix_of(labels, scores.argmax(axis=-1)))
    metric = SegmentationMetrics(CLASSES)

    def run(labels, scores):
        state = metric.stateless_update_state(
            metric.stateless_reset_state(), labels, scores
        )
        return metric.stateless_result(state)["mean_iou"]

    for function in (run, *compiled(run)):
        np.testing.assert_allclose(
            to_numpy(function(labels, scores)), expected["mean_iou"], rtol=1e-6
        )


def test_fit_and_evaluate_show_the_scores():
    labels, images = batch(shape=(5, 4, 3))
    model = keras.Sequential(
        [keras.Input((None, None, CLASSES)), keras.layers.Conv2D(CLASSES, 1)]
    )
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=255
        ),
        metrics=[
            SegmentationMetrics(CLASSES),
            *(metric(CLASSES, name=f"one_{n}") for n, metric in SINGLE.items()),
        ],
    )
    data = (images, labels.astype("uint8"))
    history = model.fit(
        *data, batch_size=2, epochs=2, validation_data=data, verbose=0
    ).history
    predicted = model.predict(images, verbose=0).argmax(axis=-1)
    for name, score in scores_of(matrix_of(labels, predicted)).items():
        for key in (f"val_{name}", f"val_one_{name}"):
            np.testing.assert_allclose(history[key][-1], score, rtol=1e-6)
        assert len(history[name]) == 2


@pytest.mark.parametrize("metric", [*SINGLE.values(), SegmentationMetrics])
def test_it_comes_back_from_its_configuration(metric):
    metric = metric(CLASSES, ignore_class=None, name="scores")
    assert isinstance(metric, ConfusionMetric)
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert (again.num_classes, again.ignore_class) == (CLASSES, None)


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ((2, 4, 3), (2, 4, 3, 4), "Predictions must"),
        ((2, 4, 3), (2, 4, 3), "Predictions must"),
        ((2, 4, 3), (2, 8, 6, CLASSES), "labels of shape"),
        ((4, 3), (2, 4, 3, CLASSES), "labels of shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(labels, predicted, message):
    metric = MeanIoU(CLASSES)
    with pytest.raises(ValueError, match=message):
        metric.update_state(
            np.zeros(labels, "int32"), np.zeros(predicted, "float32")
        )


def test_numbers_of_classes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="num_classes=1"):
        MeanIoU(1)
    with pytest.raises(ValueError, match="4 classes, expected 5"):
        MeanIoU(5).merge_state([MeanIoU(4)])
