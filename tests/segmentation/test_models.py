"""Semantic FPN and UPerNet as models: shapes, training, saving."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins import TwinsBackbone
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet
from tests.compiling import build_optimizer
from tests.compiling import call_compiled
from tests.compiling import slow_but_on
from tests.segmentation.models import both
from tests.segmentation.models import quick
from tests.tiny import MINIMAL
from tests.tiny import images
from tests.tiny import randomise
from tests.tiny import to_numpy

CONFIG = dataclasses.replace(MINIMAL, output_norms=True)
SMALL = {SemanticFPN: {"pyramid_filters": 6}, UPerNet: {"auxiliary_filters": 6}}


def build(cls, image_shape=(None, None, 3), **kwargs):
    dtype = kwargs.get("dtype")
    backbone = TwinsBackbone(CONFIG, image_shape, final_norm=False, dtype=dtype)
    model = cls(backbone, num_classes=4, filters=8, **SMALL[cls], **kwargs)
    randomise(model)
    return model


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, shape).astype("float32")


def labels(*shape: int) -> np.ndarray:
    masks = np.random.default_rng(2).integers(0, 4, shape).astype("uint8")
    masks[:, :5] = 255
    return masks


def loss():
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=255
    )


@quick
def test_scores_have_the_size_of_the_image(cls):
    model = build(cls)
    assert tuple(model.output.shape) == (None, None, None, 4)
    for size in ((64, 96), (71, 50)):
        scores = model.predict(pixels(2, *size, 3), verbose=0)
        assert scores.shape == (2, *size, 4) and scores.dtype == "float32"
        assert np.isfinite(scores).all()
    static = build(cls, (64, 96, 3))
    np.testing.assert_allclose(
        static.predict(pixels(2, 64, 96, 3), verbose=0),
        model.predict(pixels(2, 64, 96, 3), verbose=0),
        rtol=1e-3,
        atol=1e-4,
    )


@quick
def test_probabilities_and_normalised_images(cls):
    x = images(1, 64, 64, 3)
    logits = build(cls, include_preprocessing=False)
    softmax = build(
        cls, include_preprocessing=False, classifier_activation="softmax"
    )
    expected = keras.ops.softmax(logits.predict_on_batch(x))
    found = softmax.predict_on_batch(x)
    np.testing.assert_allclose(found, to_numpy(expected), atol=1e-5)
    raw = build(cls)
    difference = raw.predict_on_batch(x) - logits.predict_on_batch(x)
    assert np.abs(difference).max() > 1e-3


@both
def test_training_lowers_the_loss(cls):
    model = build(cls, dropout_rate=0.0)
    model.compile("adam", loss(), metrics=["accuracy"])
    build_optimizer(model)
    x, y = pixels(2, 64, 64, 3), labels(2, 64, 64)
    # One class: the bias of the classifier alone learns it in a few steps.
    y[y != 255] = 2
    losses = [model.train_on_batch(x, y)[0] for _ in range(6)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]
    assert set(model.evaluate(x, y, verbose=0, return_dict=True)) == {
        "loss",
        "accuracy",
    }


def test_the_auxiliary_head_trains_and_is_seen_by_training_only():
    model = build(UPerNet, dropout_rate=0.0)
    x = pixels(2, 64, 64, 3)
    outputs = call_compiled(model.call_with_auxiliary, x)
    assert set(outputs) == {"scores", "auxiliary"}
    assert outputs["auxiliary"].shape == (2, 64, 64, 4)
    scores = call_compiled(lambda images: model(images, training=True), x)
    assert scores.shape == (2, 64, 64, 4)
    head = model.auxiliary_head
    before = to_numpy(head.classifier.kernel).copy()
    model.compile("sgd", loss())
    model.train_on_batch(x, labels(2, 64, 64))
    assert not np.allclose(to_numpy(head.classifier.kernel), before)


@pytest.mark.parametrize("weight", [0.4, 2.0])
def test_the_share_of_the_auxiliary_loss(weight):
    model = build(UPerNet, auxiliary_weight=weight, dropout_rate=0.0)
    model.compile("sgd", loss())
    x, y = pixels(2, 64, 64, 3), labels(2, 64, 64)
    outputs = call_compiled(model.call_with_auxiliary, x)
    first, second = (
        float(to_numpy(loss()(y, outputs[name])))
        for name in ("scores", "auxiliary")
    )
    found = float(to_numpy(model.compute_loss(x, y, outputs, training=True)))
    assert found == pytest.approx(first + weight * second, rel=1e-5)


def test_no_auxiliary_head():
    model = build(UPerNet, auxiliary_weight=0)
    assert not any("auxiliary" in v.path for v in model.weights)
    x = pixels(1, 64, 64, 3)
    scores = call_compiled(lambda images: model(images, training=True), x)
    assert scores.shape == (1, 64, 64, 4)
    with pytest.raises(ValueError, match="no auxiliary head"):
        model.call_with_auxiliary(pixels(1, 64, 64, 3))
    with pytest.raises(ValueError, match="must not be negative.*-1"):
        build(UPerNet, auxiliary_weight=-1)


def test_as_a_part_of_another_model_it_gives_its_scores():
    """A graph has one output here, also in training."""
    part = build(UPerNet, dropout_rate=0.0)
    whole = keras.Sequential([keras.Input((64, 64, 3)), part])
    x = pixels(2, 64, 64, 3)
    expected = call_compiled(part.call_with_auxiliary, x)["scores"]
    found = call_compiled(lambda images: whole(images, training=True), x)
    np.testing.assert_allclose(to_numpy(found), to_numpy(expected), atol=1e-5)


def test_misspelt_keywords():
    for wrong in ({"drop_pathrate": 0.1}, {"filter": 8, "names": "m"}):
        message = f"no such keyword.*Received: {', '.join(sorted(wrong))}"
        with pytest.raises(TypeError, match=message):
            TwinsBackbone(CONFIG, **wrong)
        with pytest.raises(TypeError, match=message):
            UPerNet(TwinsBackbone(CONFIG), num_classes=3, **wrong)
    assert not TwinsBackbone(CONFIG, trainable=False).trainable


def test_several_losses_are_refused():
    model = build(UPerNet)
    model.compile("sgd", [loss()])
    with pytest.raises(ValueError, match="must be one loss"):
        model.train_on_batch(pixels(2, 64, 64, 3), labels(2, 64, 64))


@both
def test_what_is_frozen_stays_frozen(cls, tmp_path):
    model = build(cls)
    model.backbone.trainable = False
    model.backbone.get_layer("stage3_patch_embedding").trainable = True
    model.get_layer("decode_head").trainable = False
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    names = [v.path for v in model.trainable_variables]
    assert names
    assert len(names) < len(model.variables) / 2
    assert [v.path for v in again.trainable_variables] == names


def test_losses_by_name():
    """A loss function, which `compile` also takes, has no reduction."""
    model = build(UPerNet, classifier_activation="softmax")
    # With labels, Keras's own fails on maps on PyTorch.
    model.compile("sgd", "categorical_crossentropy")
    y = np.eye(4, dtype="float32")[np.minimum(labels(2, 64, 64), 3)]
    x = pixels(2, 64, 64, 3)
    outputs = call_compiled(model.call_with_auxiliary, x)
    found = model.compute_loss(x, y, outputs)
    expected = sum(
        share * keras.losses.CategoricalCrossentropy()(y, outputs[name])
        for name, share in (("scores", 1.0), ("auxiliary", 0.4))
    )
    np.testing.assert_allclose(to_numpy(found), to_numpy(expected), rtol=1e-5)


@quick
def test_saving(cls, tmp_path):
    model = build(cls)
    x = pixels(1, 64, 64, 3)
    expected = model.predict_on_batch(x)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is cls and again.get_config() == model.get_config()
    np.testing.assert_allclose(again.predict_on_batch(x), expected, atol=1e-6)
    assert [v.path for v in again.weights] == [v.path for v in model.weights]
    for one, other in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = cls.from_config(model.get_config())
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(fresh.predict_on_batch(x), expected, atol=1e-6)


@pytest.mark.parametrize(
    "cls, policy",
    [(SemanticFPN, "mixed_bfloat16"), (UPerNet, "mixed_float16")],
)
def test_mixed_precision(cls, policy):
    model = build(cls, dtype=policy)
    model.compile("sgd", loss())
    x, y = pixels(2, 64, 64, 3), labels(2, 64, 64)
    assert np.isfinite(model.train_on_batch(x, y))
    assert model.predict_on_batch(x).dtype == "float32"


@both
def test_frozen_backbone(cls):
    model = build(cls)
    trainable = len(model.trainable_weights)
    model.backbone.trainable = False
    assert len(model.trainable_weights) < trainable
    assert not any("stage" in v.path for v in model.trainable_weights)


PUBLISHED = {
    # Semantic FPN, UPerNet: parameters without the unused classifier.
    "pcpvt_small": (27_858_838, 54_080_044),
    "pcpvt_base": (47_581_078, 73_802_284),
    "pcpvt_large": (64_742_294, 90_963_500),
    "svt_small": (27_798_934, 53_856_300),
    "svt_base": (59_676_438, 87_724_460),
    "svt_large": (102_744_214, 132_782_892),
}
GMACS = {
    # Semantic FPN, UPerNet, at 512 x 512, as the paper has them.
    "pcpvt_small": (40, 234),
    "pcpvt_base": (55, 250),
    "pcpvt_large": (71, 269),
    "svt_small": (37, 228),
    "svt_base": (67, 261),
    "svt_large": (102, 297),
}


@slow_but_on("torch")  # which builds quickest; they are counted all the same
@pytest.mark.parametrize("variant", PUBLISHED)
def test_published_parameters_and_products(variant):
    width = keras_twins.VARIANTS[variant].embed_dims[-1]
    unused = 2 * width + 1000 * (width + 1)
    official = {
        "pcpvt_small": (28.373, 54.594),
        "pcpvt_base": (48.095, 74.316),
        "pcpvt_large": (65.256, 91.478),
        "svt_small": (28.313, 54.370),
        "svt_base": (60.447, 88.495),
        "svt_large": (103.771, 133.810),
    }[variant]
    for i, cls in enumerate((SemanticFPN, UPerNet)):
        model = cls.from_twins(variant, weights=None)
        count = sum(int(np.prod(v.shape)) for v in model.trainable_weights)
        assert count == PUBLISHED[variant][i]
        assert (count + unused) / 1e6 == pytest.approx(official[i], abs=6e-4)
        flops = keras_twins.count_flops(model, (512, 512, 3))
        assert not flops.uncounted
        # The paper counts Semantic FPN without attention; its counter is not
        # ours, and 1.1 G is 0.4 % of UPerNet.
        macs = flops.macs("readme" if cls is SemanticFPN else "products")
        assert macs / 1e9 == pytest.approx(GMACS[variant][i], abs=1.1)
