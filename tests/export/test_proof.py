"""The judge of an export, tried on programs that are right and wrong."""

import sys

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.export import comparison
from keras_twins.export import proof
from keras_twins.export import timing
from keras_twins.export.probe import describe_probe
from keras_twins.export.probe import probe_images
from keras_twins.export.proof import prove
from keras_twins.export.report import ExportError
from tests.tiny import MINIMAL

CLASSES = 5


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Names the brightest of five columns."""
    image = keras.Input((8, CLASSES, 3))
    x = keras.ops.mean(image, axis=(1, 3)) / 255
    x = keras.layers.Dense(CLASSES, name="predictions")(x)
    model = keras.Model(image, x)
    model.layers[-1].set_weights([np.eye(CLASSES), np.zeros(CLASSES)])
    return model


@pytest.fixture
def images() -> np.ndarray:
    """Twenty images, whose class is their number modulo five."""
    pixels = np.zeros((20, 8, CLASSES, 3), "float32")
    for number, image in enumerate(pixels):
        image[:, number % CLASSES] = 250
    return pixels


@pytest.fixture
def artifact(tmp_path, monkeypatch, model):
    """Makes an artefact that gives Keras's outputs, distorted."""

    def make(distort=lambda x: x, of=model):
        def load(path, format):
            assert (path.read_bytes(), format) == (b"four", "saved_model")

            def run(batch):
                outputs = keras.tree.flatten(of.predict_on_batch(batch))
                return [distort(np.asarray(x)) for x in outputs]

            return run

        monkeypatch.setattr(proof, "load_artifact", load)
        (tmp_path / "model").write_bytes(b"four")
        return tmp_path / "model"

    return make


def test_card_of_a_faithful_artefact(model, images, artifact):
    path = artifact(lambda x: x + np.float32(1e-6))
    card = prove(model, path, "saved_model", images=images)
    assert card.accepted
    assert (card.format, card.precision) == ("saved_model", "float32")
    assert card.backend == keras.backend.backend()
    assert (card.path, card.bytes) == (path, 4)
    assert (card.images, card.image_source) == (20, "as given")
    assert card.max_abs_difference == pytest.approx(1e-6, rel=0.1)
    assert card.max_abs_output == pytest.approx(250 / 255)
    assert card.top1_agreement == 1
    assert card.cosine_similarity == pytest.approx(1)
    assert card.batch == 8
    for name in ("latency_ms", "throughput", "load_seconds"):
        assert getattr(card, name) > 0
    assert card.latency_ratio == card.keras_latency_ms / card.latency_ms
    assert card.throughput_ratio == card.throughput / card.keras_throughput


def raise_error(x):
    raise RuntimeError("unknown operation\nof the runtime")


def confuse(x):
    """Swaps the first two classes; most images have another one."""
    return x[:, [1, 0, 2, 3, 4]]


@pytest.mark.parametrize(
    ("distort", "message"),
    [
        (lambda x: x + np.float32(2e-4), "differs from Keras by 0.0002"),
        (lambda x: np.where(x > 0.5, np.nan, x), "not finite. Look for NaN"),
        (lambda x: np.where(x > 0.5, np.inf, x), "not finite. Look for NaN"),
        (lambda x: x[:, :-1], r"shapes \[\(4,\)\]; Keras's have \[\(5,\)\]"),
        (raise_error, "cannot be run here.*unknown operation of the runtime"),
    ],
    ids=["values", "nan", "infinite", "shape", "error"],
)
def test_wrong_artefacts_are_refused(model, images, artifact, distort, message):
    path = artifact(distort)
    with pytest.raises(ExportError, match=message) as info:
        prove(model, path, "saved_model", images=images)
    card = info.value.report
    assert not card.accepted
    assert card.bytes == 4 and card.latency_ms is None
    (problem,) = card.problems
    assert "verdict      refused: It" in card.table()
    # What is wrong stands on the card as in the error.
    assert problem in str(info.value)


def test_eight_bits_are_judged_by_the_answer(model, images, artifact):
    path = artifact(lambda x: x + np.float32(0.3))
    for precision in ("int8", "dynamic_int8"):
        card = prove(model, path, "saved_model", precision, images)
        assert card.top1_agreement == 1 and card.max_abs_difference > 0.29
    path = artifact(confuse)
    with pytest.raises(ExportError, match="60.0% of 20 images.*98.0%") as info:
        prove(model, path, "saved_model", "int8", images)
    assert info.value.report.top1_agreement == 0.6
    card = prove(model, path, "saved_model", "int8", images, None, 0.6)
    assert card.accepted and card.limits.agreement == 0.6


def test_eight_bits_keep_the_scale(model, images, artifact):
    path = artifact(lambda x: x * 1000 + 77)
    with pytest.raises(ExportError, match="differs"):
        prove(model, path, "saved_model", "int8", images)


def test_one_output_names_no_class():
    image = keras.Input((8, CLASSES, 3))
    one = keras.layers.Dense(1)(keras.layers.Flatten()(image))
    assert not comparison.is_classifier(keras.Model(image, one))


def test_half_precision_inside_has_a_limit_of_its_own():
    limits = comparison.choose_limits("float32", None, None, {"bfloat16"})
    assert limits.difference == 3e-2
    limits = comparison.choose_limits("float32", 1e-3, None, {"bfloat16"})
    assert limits.difference == 1e-3


def test_limits_can_be_asked_for(model, images, artifact):
    path = artifact(lambda x: x + np.float32(0.01))
    prove(model, path, "saved_model", "float32", images, tolerance=0.02)
    with pytest.raises(ExportError, match="differs"):
        prove(model, path, "saved_model", "int8", images, tolerance=0.005)
    prove(model, artifact(), "saved_model", "float32", images, tolerance=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "int3"}, "`precision` must be one of .*'int3'"),
        ({"tolerance": -1.0}, "`tolerance`.*-1.0"),
        ({"min_agreement": 98}, "`min_agreement`.*fraction.*98"),
    ],
)
def test_wrong_arguments(model, artifact, arguments, message):
    with pytest.raises(ValueError, match=message):
        prove(model, artifact(), "saved_model", **arguments)


def test_a_missing_runtime_is_no_fault_of_the_artefact(
    model, images, tmp_path, monkeypatch
):
    def load(path, format):
        raise ImportError("pip install keras-twins[export]")

    monkeypatch.setattr(proof, "load_artifact", load)
    with pytest.raises(ImportError, match="keras-twins"):
        prove(model, tmp_path, "saved_model", images=images)


def test_batches_have_one_size(model, images, artifact):
    """Runtimes that compile would begin anew for another one."""
    sizes = []

    def note(x):
        sizes.append(len(x))
        return x

    card = prove(model, artifact(note), "saved_model", images=images)
    assert card.images == 20
    assert sizes[:3] == [8, 8, 8]
    assert set(sizes[3:]) == {1, 8}
    # The images that fill the last batch do not count.
    last = 0

    def spoil(x):
        nonlocal last
        last += 1
        return np.where(np.arange(8)[:, None] < 4, x, 9) if last == 3 else x

    prove(model, artifact(spoil), "saved_model", images=images)


def test_maps_and_features_have_no_classes(artifact):
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 8, 8, name="conv")(image)
    maps = keras.Model(image, [x, keras.layers.GlobalAveragePooling2D()(x)])
    card = prove(maps, artifact(of=maps), "saved_model", "int8")
    assert card.top1_agreement is None
    assert card.cosine_similarity == pytest.approx(1)
    assert card.image_source == "crops of two photographs"
    wrong = artifact(lambda x: x * np.where(np.arange(4) < 2, 1, -1), of=maps)
    with pytest.raises(ExportError, match="cosine similarity") as info:
        prove(maps, wrong, "saved_model", "int8")
    assert info.value.report.cosine_similarity < 0.95


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: keras_twins.classifier(MINIMAL, classes=5), True),
        (
            lambda: keras_twins.classifier(
                MINIMAL, classes=5, classifier_activation=None
            ),
            True,
        ),
        (
            lambda: keras_twins.classifier(
                MINIMAL, include_top=False, pooling="avg"
            ),
            False,
        ),
        (lambda: keras_twins.TwinsBackbone(MINIMAL), False),
    ],
    ids=["probabilities", "logits", "features", "map"],
)
def test_what_is_a_classifier(build, expected):
    model = build()
    assert comparison.is_classifier(model) is expected
    image = keras.Input(model.input_shape[1:])
    assert (
        comparison.is_classifier(keras.Model(image, model(image))) is expected
    )


def test_cosine_similarity():
    a = np.array([[1.0, 0], [0, 0], [3, 4]])
    b = np.array([[1.0, 1], [0, 0], [6, 8]])
    found = comparison.cosine_similarity([a, a], [b, a])
    assert found == pytest.approx((2**-0.5 + 1 + 1) / 3)
    assert comparison.cosine_similarity([a[:1]], [0 * a[:1]]) == 0


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((40, 32, 3), "float32", (32, 40, 32, 3)),
        ((None, None, 3), "uint8", (32, 96, 96, 3)),
        ((32, 48, 1), "uint8", (32, 32, 48, 1)),
        ((32, 32, 6), "float16", (32, 32, 32, 6)),
        ((32, 32, 2), "float32", (32, 32, 32, 2)),
    ],
)
def test_probe_images(shape, dtype, expected):
    pytest.importorskip("sklearn")
    image = keras.Input(shape, dtype=dtype)
    model = keras.Model(image, keras.ops.max(image, axis=(1, 2)))
    found = probe_images(model)
    assert (found.shape, str(found.dtype)) == (expected, dtype)
    assert found.min() < 30 and 200 < found.max() <= 255
    assert len(np.unique(found.reshape(len(found), -1), axis=0)) == 32
    np.testing.assert_array_equal(found, probe_images(model))
    channels = found[0].reshape(-1, shape[-1]).T
    if shape[-1] == 6:
        np.testing.assert_array_equal(channels[:3], channels[3:])
    names = {1: "handwritten digits"}
    expected_name = names.get(shape[-1], "crops of two photographs")
    assert describe_probe(model) == expected_name


def test_large_models_get_fewer_images():
    pytest.importorskip("sklearn")
    image = keras.Input((1024, 1024, 3))
    x = keras.layers.Conv2D(1000, 40, 40)(image)
    assert len(probe_images(keras.Model(image, x))) == 8


def test_without_scikit_learn(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"keras-twins\[data\].*`images=`"):
        probe_images(model)


def test_no_image_model():
    vector = keras.Input((4,))
    with pytest.raises(ValueError, match=r"\(None, 4\).*`images=`"):
        probe_images(keras.Model(vector, vector * 2))


@pytest.mark.parametrize(
    ("seconds", "rounds", "median"), [(20, 4, 4.5), (0, 3, 5.0)]
)
def test_programs_take_turns(monkeypatch, seconds, rounds, median):
    clock, calls = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    # The first runs only warm up.
    costs = {"slow": iter([100, 7, 3, 5, 4]), "fast": iter([50, 1, 1, 1, 1])}

    def program(name):
        def run():
            calls.append(name)
            clock[0] += next(costs[name])

        return run

    found = timing.time_in_turns([program("slow"), program("fast")], seconds)
    assert found == [median, 1.0]
    assert calls[:6] == ["slow", "fast", "slow", "fast", "fast", "slow"]
    assert len(calls) == 2 * (rounds + 1)
