import keras
import numpy as np
import pytest

from keras_twins.training.distillation import DistilledModel
from keras_twins.training.distillation_loss import DistillationLoss
from tests.tiny import to_numpy

CLASSES = 3
IMAGES = np.random.default_rng(0).standard_normal((4, 6), dtype="float32")
# Mixed, as mixup leaves them.
TARGETS = np.array(
    [[0.9, 0.1, 0], [0, 0.3, 0.7], [1, 0, 0], [0.2, 0.2, 0.6]], "float32"
)


def classifier(activation="softmax", width=6, seed=0, name=None):
    generator = keras.initializers.RandomNormal(seed=seed)
    return keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dropout(0.5),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(
                CLASSES, activation=activation, kernel_initializer=generator
            ),
        ],
        name=name,
    )


def plain(activation="softmax", seed=0, **kwargs):
    """Without anything random, so that losses can be computed by hand."""
    kernel = np.random.default_rng(seed).standard_normal((6, CLASSES))
    dense = keras.layers.Dense(CLASSES, activation=activation, **kwargs)
    model = keras.Sequential([keras.Input((6,)), dense])
    model.set_weights([kernel, np.zeros(CLASSES)])
    return model


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def compiled(model, from_logits=False, **kwargs):
    loss = keras.losses.CategoricalCrossentropy(from_logits=from_logits)
    model.compile(keras.optimizers.SGD(0.0), loss, **kwargs)
    return model


def fitted_loss(model):
    history = model.fit(IMAGES, TARGETS, batch_size=4, verbose=0).history
    return history["loss"][0]


def by_hand(kind, tau, student, teacher):
    student, teacher = (
        IMAGES @ x.layers[-1].get_weights()[0] for x in (student, teacher)
    )
    if kind == "hard":
        best = teacher.argmax(axis=-1)
        return -log_softmax(student)[np.arange(4), best].mean()
    p = log_softmax(teacher / tau)
    gap = p - log_softmax(student / tau)
    return tau**2 * (np.exp(p) * gap).sum(axis=-1).mean()


@pytest.mark.parametrize("activation", [None, "softmax"])
@pytest.mark.parametrize(
    ("kind", "tau"), [("hard", 1.0), ("soft", 1.0), ("soft", 3.0)]
)
def test_loss_of_a_step(kind, tau, activation):
    student, teacher = plain(activation), plain(activation, seed=1)
    model = DistilledModel(student, teacher, kind, alpha=0.3, tau=tau)
    found = fitted_loss(compiled(model, activation is None))
    base = -(TARGETS * log_softmax(IMAGES @ student.get_weights()[0])).sum(-1)
    expected = 0.7 * base.mean()
    expected += 0.3 * by_hand(kind, tau, student, teacher)
    assert found == pytest.approx(expected, rel=1e-5)
    # Evaluation is the student's own.
    own = model.evaluate(IMAGES, TARGETS, verbose=0)
    assert own == pytest.approx(base.mean(), rel=1e-5)


def test_regularization_is_left_as_it_is():
    penalty = keras.regularizers.L2(0.5)
    student = plain(kernel_regularizer=penalty)
    teacher = plain(seed=1, kernel_regularizer=penalty)
    model = DistilledModel(student, teacher, alpha=1.0)
    expected = by_hand("hard", 1.0, student, teacher)
    expected += 0.5 * (student.get_weights()[0] ** 2).sum()
    assert fitted_loss(compiled(model)) == pytest.approx(expected, rel=1e-5)


def test_weights_of_images_count_in_both_losses():
    model = compiled(DistilledModel(plain(), plain(seed=1), "soft"))
    weights = np.array([1, 0, 0, 0], "float32")
    history = model.fit(
        IMAGES, TARGETS, 4, sample_weight=weights, verbose=0
    ).history
    alone = model.fit(IMAGES[:1], TARGETS[:1], verbose=0).history
    assert 4 * history["loss"][0] == pytest.approx(alone["loss"][0], rel=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_student_learns_and_the_teacher_does_not(dtype):
    keras.config.set_dtype_policy(dtype)
    student, teacher = classifier(), classifier(width=5, seed=1)
    narrow = keras.layers.Lambda(lambda x: x[:, :5])
    model = DistilledModel(student, teacher, prepare=narrow)
    model.compile(keras.optimizers.Adam(0.1), "categorical_crossentropy")
    before = [to_numpy(x).copy() for x in (*teacher.variables,)]
    kernel = student.get_weights()[-2]
    model.fit(IMAGES, TARGETS, epochs=2, verbose=0)
    assert np.abs(student.get_weights()[-2] - kernel).max() > 0.05
    # Neither moving averages nor the seeds of its dropout have moved.
    for variable, value in zip(teacher.variables, before, strict=True):
        np.testing.assert_array_equal(to_numpy(variable), value)


def test_student_approaches_the_teacher():
    student, teacher = plain("softmax"), plain("softmax", seed=1)
    model = DistilledModel(student, teacher, "soft", alpha=1.0, tau=2.0)
    model.compile(keras.optimizers.Adam(0.1), "categorical_crossentropy")
    history = model.fit(IMAGES, TARGETS, epochs=60, verbose=0).history
    assert history["loss"][-1] < 0.02 * history["loss"][0]
    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0),
        teacher.predict(IMAGES, verbose=0),
        atol=0.1,
    )


def test_state_is_that_of_the_student(tmp_path):
    student = classifier(name="student")
    model = compiled(DistilledModel(student, classifier(seed=1)))
    assert model.name == "student"
    assert [id(v) for v in model.variables] == [
        id(v) for v in student.variables
    ]
    assert model.count_params() == student.count_params()
    model.fit(IMAGES, TARGETS, verbose=0)
    model.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    assert type(loaded) is keras.Sequential
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(
        loaded.predict(IMAGES, verbose=0), expected, atol=1e-6
    )
    model.save_weights(tmp_path / "student.weights.h5")
    other = DistilledModel(classifier(seed=5), classifier(seed=1))
    other.load_weights(tmp_path / "student.weights.h5")
    np.testing.assert_allclose(
        other.predict(IMAGES, verbose=0), expected, atol=1e-6
    )


def test_loss_comes_back_from_its_configuration():
    loss = DistillationLoss("soft", tau=2.5)
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    assert (again.kind, again.tau, again.name) == ("soft", 2.5, "distillation")


class Opaque(keras.layers.Layer):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    "last", [Opaque, lambda: keras.layers.Activation("linear")]
)
def test_scores_whose_kind_is_not_known(last):
    student = keras.Sequential([*plain().layers, last()])
    student.build((None, 6))
    with pytest.raises(ValueError, match="Pass `student_logits`"):
        DistilledModel(student, plain(seed=1))
    model = DistilledModel(student, plain(seed=1), student_logits=False)
    same = DistilledModel(plain(), plain(seed=1))
    found, expected = (fitted_loss(compiled(x)) for x in (model, same))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"alpha": 1.5}, "`alpha` must be from 0 to 1"),
        ({"kind": "warm"}, "'hard' or 'soft'. Received: kind='warm'"),
        ({"tau": 0.0}, "`tau` must be positive"),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        DistilledModel(plain(), plain(), **kwargs)


def test_other_classes_are_refused():
    teacher = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5)])
    with pytest.raises(ValueError, match=r"\(None, 3\) and \(None, 5\)"):
        DistilledModel(plain(), teacher)
