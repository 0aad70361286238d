import keras
import numpy as np
import pytest

from keras_twins.training.evaluation import ClassificationEvaluator
from keras_twins.training.evaluation import ClassMap
from keras_twins.training.evaluation import evaluate_classification
from keras_twins.training.strategies import SingleDevice

CLASSES = 7


class Shifted(keras.layers.Layer):
    """The images are the scores; the weight shows which are read."""

    def build(self, input_shape):
        self.shift = self.add_weight(shape=(), initializer="zeros")

    def call(self, inputs):
        return inputs + self.shift


def model(activation=None, classes=CLASSES, dtype=None):
    last = keras.layers.Activation(activation or "linear", dtype=dtype)
    return keras.Sequential(
        [keras.Input((classes,)), Shifted(dtype=dtype), last]
    )


def batches(scores, labels, batch_size):
    """Batches of one static size, the last one padded."""
    tf = pytest.importorskip("tensorflow")
    padding = -len(labels) % batch_size
    scores = np.pad(scores, ((0, padding), (0, 0)))
    valid = np.arange(len(labels) + padding) < len(labels)
    labels = np.pad(labels, (0, padding), constant_values=0)
    rows = {
        "images": scores.astype("float32"),
        "labels": labels.astype("int32"),
        "valid": valid,
    }
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    return dataset.batch(batch_size, drop_remainder=True)


def examples(count, classes=CLASSES, seed=0):
    generator = np.random.default_rng(seed)
    scores = 3 * generator.standard_normal((count, classes))
    labels = generator.integers(0, classes, count)
    scores[np.arange(count), labels] += 2
    return scores.astype("float32"), labels


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def check(found, scores, labels, classes=CLASSES, loss_atol=1e-5):
    order = np.argsort(-scores, axis=-1, kind="stable")
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    np.testing.assert_array_equal(found.confusion, confusion)
    hits = (order[:, :5] == labels[:, None]).any(axis=1)
    expected = np.bincount(labels[hits], minlength=classes)
    np.testing.assert_array_equal(found.top5_hits, expected)
    p = softmax(scores.astype("float64"))[np.arange(len(labels)), labels]
    assert found.loss == pytest.approx(-np.log(p).mean(), abs=loss_atol)
    assert found.images == len(labels)


@pytest.mark.parametrize("count", [1, 5, 23, 24])
@pytest.mark.parametrize("batch_size", [4, 23])
def test_every_image_counts_once(count, batch_size):
    scores, labels = examples(count)
    found = evaluate_classification(
        model(), batches(scores, labels, batch_size), CLASSES
    )
    check(found, scores, labels)


@pytest.mark.parametrize("compiled", [False, True])
def test_probabilities(compiled):
    scores, labels = examples(23)
    net = model("softmax")
    if compiled:
        net.compile("sgd", "sparse_categorical_crossentropy")
    data = batches(scores, labels, 8)
    check(evaluate_classification(net, data, CLASSES), scores, labels)


def test_loss_is_that_of_keras():
    scores, labels = examples(16)
    net = model("softmax")
    net.compile(loss="sparse_categorical_crossentropy")
    expected = net.evaluate(scores, labels, batch_size=16, verbose=0)
    found = evaluate_classification(net, batches(scores, labels, 4), CLASSES)
    assert found.loss == pytest.approx(expected, rel=1e-5)


def test_kind_of_scores_can_be_said():
    """Logits that look like probabilities."""
    scores = np.array([[0.5, 0.5, 0], [0.0, 1, 0]], "float32")
    labels = np.array([0, 1])
    data = batches(scores, labels, 2)
    losses = [
        ClassificationEvaluator(model(classes=3), 3, from_logits=known)
        .evaluate(data)
        .loss
        for known in (None, False, True)
    ]
    p = softmax(scores)[[0, 1], labels]
    expected = [np.log(2) / 2, np.log(2) / 2, -np.log(p).mean()]
    np.testing.assert_allclose(losses, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_loss_of_half_precision_is_in_single(dtype):
    """A sum of some thousand logs in half precision would be far away."""
    generator = np.random.default_rng(0)
    scores = generator.integers(-8, 8, (40, 300)).astype("float32") / 4
    labels = generator.integers(0, 300, 40)
    found = evaluate_classification(
        model(classes=300, dtype=dtype), batches(scores, labels, 40), 300
    )
    p = softmax(scores.astype("float64"))[np.arange(40), labels]
    assert found.loss == pytest.approx(-np.log(p).mean(), abs=1e-5)


def test_equal_scores_are_ranked_by_class():
    labels = np.arange(CLASSES)
    data = batches(np.zeros((CLASSES, CLASSES)), labels, 4)
    found = evaluate_classification(model(), data, CLASSES)
    np.testing.assert_array_equal(np.diag(found.confusion), labels == 0)
    np.testing.assert_array_equal(found.top5_hits, labels < 5)


def test_evaluator_reads_the_weights_anew():
    scores, labels = examples(8)
    net = keras.Sequential(
        [keras.Input((CLASSES,)), keras.layers.Dense(CLASSES, use_bias=False)]
    )
    evaluator = ClassificationEvaluator(net, CLASSES)
    data = batches(scores, labels, 4)
    for shift in (0, 2):
        net.set_weights([np.roll(np.eye(CLASSES), shift, axis=1)])
        check(evaluator.evaluate(data), np.roll(scores, shift, 1), labels)
    # Nothing of the model was changed.
    assert len(net.weights) == 1 and net.trainable_variables


def test_evaluation_within_fit():
    scores, labels = examples(8)
    net = keras.Sequential([keras.Input((CLASSES,)), keras.layers.Dense(3)])
    net.compile(keras.optimizers.SGD(0.1), "mse")
    evaluator = ClassificationEvaluator(net, 3)
    found = []

    class Validate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            data = batches(scores, labels % 3, 4)
            found.append(evaluator.evaluate(data).loss)

    targets = np.eye(3)[labels % 3]
    net.fit(scores, targets, epochs=2, verbose=0, callbacks=[Validate()])
    data = batches(scores, labels % 3, 4)
    assert found[0] != found[1]
    assert evaluator.evaluate(data).loss == pytest.approx(found[1], rel=1e-6)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_subset_of_the_classes(activation):
    scores, _ = examples(30)
    labels = np.arange(30) % 3
    outputs = np.array([5, 0, 2])
    scores[np.arange(30), outputs[labels]] += 1
    net, data = model(activation), batches(scores, labels, 8)
    restricted = evaluate_classification(
        net, data, 3, class_map=ClassMap(tuple(outputs), CLASSES)
    )
    order = np.argsort(-scores[:, outputs], axis=-1)
    assert restricted.top1 == (order[:, 0] == labels).mean()
    assert restricted.confusion.shape == (3, 3)
    p = softmax(scores[:, outputs].astype("float64"))[np.arange(30), labels]
    assert restricted.loss == pytest.approx(-np.log(p).mean(), abs=1e-5)
    free = evaluate_classification(
        net, data, 3, class_map=ClassMap(tuple(outputs), CLASSES, False)
    )
    check(free, scores, outputs[labels])
    assert free.top1 < restricted.top1


class TwoProcesses(SingleDevice):
    """Another process has counted the same."""

    def sum_arrays(self, arrays):
        assert all(isinstance(array, np.ndarray) for array in arrays)
        return [2 * array for array in arrays]


def test_counts_of_all_processes():
    scores, labels = examples(10)
    data = batches(scores, labels, 4)
    found = evaluate_classification(model(), data, CLASSES, TwoProcesses())
    doubled = np.concatenate([scores, scores]), np.concatenate([labels, labels])
    check(found, *doubled)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((2, CLASSES)), [0, CLASSES], "`labels` must be from 0 to 6"),
        (np.zeros((2, CLASSES)), [0, -1], "Received: 1 of 2 that are not"),
        (np.full((2, CLASSES), np.nan), [0, 1], "must be finite.* 2 of 2"),
        (np.full((2, CLASSES), np.inf), [0, 1], "must be finite"),
        (np.zeros((0, CLASSES)), [], "at least one image"),
    ],
)
def test_what_cannot_be_scored(scores, labels, message):
    labels = np.array(labels, int)
    if not len(labels):
        scores, labels = np.zeros((1, CLASSES)), np.zeros(1, int)
    data = batches(scores, labels, 2)
    if "at least" in message:
        data = data.map(lambda x: {**x, "valid": x["labels"] > 0})
    with pytest.raises(ValueError, match=message):
        evaluate_classification(model(), data, CLASSES)


def test_models_of_other_classes_are_refused():
    scores, labels = examples(4)
    with pytest.raises(ValueError, match=r"\(batch, 3\).*class_map"):
        evaluate_classification(model(), batches(scores, labels % 3, 4), 3)
    with pytest.raises(ValueError, match="each of the 4 classes"):
        ClassificationEvaluator(model(), 4, class_map=ClassMap((1, 2), CLASSES))
