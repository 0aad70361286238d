"""RetinaNet and Mask R-CNN as models: shapes, training, saving."""

import keras
import numpy as np
import pytest

from keras_twins.detection import MaskRCNN
from keras_twins.detection import RetinaNet
from tests.compiling import build_optimizer
from tests.compiling import slow_but_on
from tests.compiling import slow_on
from tests.detection.models import CLASSES
from tests.detection.models import batch
from tests.detection.models import build
from tests.detection.models import pixels
from tests.tiny import to_numpy

# Op by op, JAX would compile each of them.
# The others compile Mask R-CNN for half a minute, each time anew.
quick = pytest.mark.parametrize(
    "cls", [RetinaNet, pytest.param(MaskRCNN, marks=slow_but_on("torch"))]
)
SEED = {RetinaNet: {}, MaskRCNN: {"seed": 1}}
JIT = keras.backend.backend() == "jax"
both = pytest.mark.parametrize("cls", [RetinaNet, MaskRCNN])
LOSSES = {
    RetinaNet: {"class_loss", "box_loss"},
    MaskRCNN: {
        "proposal_class_loss",
        "proposal_box_loss",
        "class_loss",
        "box_loss",
        "mask_loss",
    },
}


def compiled(cls, **kwargs):
    model = build(cls, **kwargs)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=JIT)
    build_optimizer(model)
    return model


def as_pairs(truth):
    """Returns a batch in the form of KerasHub: padding has the label -1."""
    labels = np.where(truth["valid"], truth["labels"], -1)
    boxes = {"boxes": truth["boxes"], "labels": labels}
    return truth["images"], {**boxes, "masks": truth["masks"]}


@both
def test_predictions(cls):
    model = build(cls)
    found = model.predict(pixels(2, 64, 96, 3), verbose=0)
    count = model.settings.max_detections
    assert found["boxes"].shape == (2, count, 4)
    for name in ("scores", "labels", "valid"):
        assert found[name].shape == (2, count)
    assert ("masks" in found) == (cls is MaskRCNN)
    if cls is MaskRCNN:
        assert found["masks"].shape == (2, count, 28, 28)
        assert found["masks"].min() >= 0 and found["masks"].max() <= 1
    valid = found["valid"]
    assert valid.any()
    boxes, scores = found["boxes"][valid], found["scores"][valid]
    assert (boxes >= 0).all() and (boxes <= [96, 64, 96, 64]).all()
    assert (scores > model.settings.score_threshold).all()
    assert set(found["labels"][valid]) <= set(range(CLASSES))
    assert (np.diff(found["scores"], axis=1) <= 0).all()


@quick
def test_what_padding_holds_does_not_count(cls):
    model = build(cls, image_shape=(None, None, 3))
    sizes = {
        "image_sizes": np.array([[64, 64]]),
        "original_sizes": np.array([[32, 128]]),
    }
    found = []
    for value in (0, 77):
        images = pixels(1, 64, 96, 3)
        images[:, :, 64:] = value
        batch = {"images": images, **sizes}
        found.append(model.predict(batch, verbose=0))
    for name, values in found[0].items():
        np.testing.assert_array_equal(found[1][name], values)
    boxes = found[0]["boxes"][found[0]["valid"]]
    assert len(boxes) and (boxes <= [128, 32, 128, 32]).all()
    # Without the sizes, the padding is a part of the image.
    plain = model.predict({"images": images}, verbose=0)
    assert plain["boxes"][plain["valid"]][:, 2].max() > 64


@both
def test_fit_lowers_the_loss_and_reports_its_parts(cls):
    model = compiled(cls)
    history = model.fit(batch(), epochs=4, batch_size=2, verbose=0).history
    assert set(history) == {"loss", *LOSSES[cls]}
    parts = sum(history[name][0] for name in LOSSES[cls])
    assert history["loss"][0] == pytest.approx(parts, rel=1e-4)
    assert history["loss"][-1] < history["loss"][0]
    assert np.isfinite(list(history.values())).all()
    scores = model.evaluate(batch(), verbose=0, return_dict=True)
    assert set(scores) == {"loss", *LOSSES[cls]}


@quick
def test_boxes_as_keras_hub_has_them(cls):
    truth = batch()
    expected, found = (
        compiled(cls, **SEED[cls]).evaluate(*data, verbose=0, return_dict=True)
        for data in ((truth,), as_pairs(truth))
    )
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5)


@quick
def test_parts_of_the_loss_weigh_images_as_the_loss_does(cls):
    model = compiled(cls)
    truth = {key: x[[0, 1, 0]] for key, x in batch().items()}
    truth["boxes"][2, 0] = [60, 4, 90, 40]
    scores = model.evaluate(truth, batch_size=2, verbose=0, return_dict=True)
    parts = sum(scores[name] for name in LOSSES[cls])
    assert scores["loss"] == pytest.approx(parts, rel=1e-4)


def without_boxes(truth):
    truth["valid"][:] = False
    return truth


def with_empty_boxes(truth):
    truth["boxes"][:, 0, 2:] = truth["boxes"][:, 0, :2]
    return truth


def with_boxes_outside(truth):
    truth["boxes"][:, 0] = [-500, -500, 2000, -400]
    truth["boxes"][:, 1] = [300, 300, 400, 400]
    return truth


@both
def test_odd_truth_gives_finite_gradients(cls):
    model = compiled(cls)
    for change in (without_boxes, with_empty_boxes, with_boxes_outside):
        model.train_on_batch(change(batch()))
        for weight in model.trainable_weights:
            values = to_numpy(weight)
            assert np.isfinite(values).all(), (change, weight.path)


@quick
def test_no_room_for_boxes(cls):
    model = compiled(cls)
    truth = batch()
    for name in ("boxes", "labels", "valid", "masks"):
        truth[name] = truth[name][:, :0]
    assert np.isfinite(model.train_on_batch(truth)).all()


@quick
def test_save_and_load(cls, tmp_path):
    model = build(cls)
    model.backbone.get_layer("stage0_block0").trainable = False
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert loaded.get_config() == model.get_config()
    assert not loaded.backbone.get_layer("stage0_block0").trainable
    assert len(loaded.trainable_weights) == len(model.trainable_weights)
    image = pixels(1, 64, 96, 3)
    expected = model.predict(image, verbose=0)
    found = loaded.predict(image, verbose=0)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4)


@slow_on("jax")
@quick
def test_mixed_precision(cls):
    model = build(cls, dtype="mixed_bfloat16")
    assert model.raw_outputs(pixels(1, 64, 96, 3))["logits"][0].dtype in (
        "bfloat16",
        keras.ops.convert_to_tensor(0, "bfloat16").dtype,
    )
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=JIT)
    build_optimizer(model)
    assert np.isfinite(model.train_on_batch(batch())).all()
    found = model.predict(pixels(1, 64, 96, 3), verbose=0)
    assert found["boxes"].dtype == found["scores"].dtype == np.float32


@both
def test_missing_truth(cls):
    model = compiled(cls)
    truth = batch()
    del truth["boxes"]
    with pytest.raises(
        ValueError, match="Missing: boxes. Received: .*'labels'"
    ):
        model.train_on_batch(truth)
    found = dict.fromkeys(("images", "bboxes", "classes"), truth["images"])
    with pytest.raises(ValueError, match="'valid' may be left out.*'bboxes'"):
        model.train_on_batch(found)


def test_mask_rcnn_needs_masks():
    model = compiled(MaskRCNN)
    truth = batch()
    del truth["masks"]
    with pytest.raises(ValueError, match="Missing: masks"):
        model.train_on_batch(truth)


def test_a_fresh_retinanet_sees_next_to_nothing():
    model = RetinaNet(build(RetinaNet).backbone, CLASSES, filters=8)
    raw = model.raw_outputs(pixels(1, 64, 96, 3))
    scores = to_numpy(keras.ops.sigmoid(raw["logits"][0]))
    np.testing.assert_allclose(scores, 0.01, atol=2e-3)


def test_frozen_region_heads_stay_frozen(tmp_path):
    model = build(MaskRCNN)
    model.get_layer("box_head").trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.box_head.trainable and loaded.mask_head.trainable
    assert len(loaded.trainable_weights) == len(model.trainable_weights)


def test_too_few_samples():
    backbone = build(RetinaNet).backbone
    with pytest.raises(ValueError, match="at least one region"):
        MaskRCNN(backbone, CLASSES, filters=8, units=8, num_samples=3)


@quick
def test_a_detector_is_a_layer_of_other_models(cls):
    model = build(cls)
    images = keras.Input((64, 96, 3))
    outer = keras.Model(images, model(images))
    x = pixels(1, 64, 96, 3)
    expected, found = model.predict(x, verbose=0), outer.predict(x, verbose=0)
    assert set(found) == set(expected)
    for name, values in expected.items():
        shape = (None, *values.shape[1:])
        assert tuple(outer.output[name].shape) == shape
        assert outer.output[name].dtype == values.dtype
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4)


def test_frozen_stages():
    model = RetinaNet.from_twins(
        "svt_small", None, 2, image_shape=(64, 64, 3), frozen_stages=2
    )
    paths = {weight.path.split("/")[0] for weight in model.trainable_weights}
    first = {path for path in paths if path.startswith(("stage0", "stage1"))}
    assert first == {"stage0_output_norm", "stage1_output_norm"}
    assert {"stage2_block0", "neck", "bbox_head"} <= paths
    with pytest.raises(ValueError, match="from 0 to 4"):
        RetinaNet.from_twins("svt_small", None, 2, frozen_stages=5)


@pytest.mark.parametrize("fault", ["label", "box"])
def test_truth_that_means_nothing_makes_the_loss_nan(fault):
    model = compiled(RetinaNet)
    truth = batch()
    # Padding may hold anything.
    truth["labels"][:, 2], truth["boxes"][:, 2] = 99, np.nan
    assert np.isfinite(model.test_on_batch(truth)[0])
    if fault == "label":
        truth["labels"][1, 0] = CLASSES
    else:
        truth["boxes"][1, 0, 2] = np.nan
    assert np.isnan(model.test_on_batch(truth)[0])


@slow_but_on("torch")
def test_masks_of_files_are_masks():
    truth = batch()
    grey = {**truth, "masks": truth["masks"].astype("uint8") * 255}
    losses = [
        compiled(MaskRCNN, seed=1).evaluate(x, verbose=0, return_dict=True)
        for x in (truth, grey)
    ]
    assert losses[0]["mask_loss"] == pytest.approx(losses[1]["mask_loss"])
    wrong = {**truth, "masks": truth["masks"][:, :, ::4, ::4]}
    with pytest.raises(ValueError, match="'masks' must have the shape"):
        compiled(MaskRCNN).train_on_batch(wrong)


@quick
def test_unknown_format_of_boxes(cls):
    with pytest.raises(ValueError, match="`bounding_box_format` must be one"):
        build(cls, bounding_box_format="foo")


def test_arguments_that_a_detector_does_not_take():
    model = build(RetinaNet)
    with pytest.raises(ValueError, match="Losses belong to a detector"):
        model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="CocoCallback"):
        model.compile("sgd", metrics=["accuracy"])
    model.compile("sgd")
    with pytest.raises(ValueError, match="no `class_weight`"):
        model.fit(batch(), class_weight={0: 1.0})


@quick
def test_data_sets_of_open_sizes(cls, backend):
    tf = pytest.importorskip("tensorflow")
    if backend != "tensorflow":
        pytest.skip("the other backends know all sizes")
    model = build(cls, image_shape=(None, None, 3))
    with pytest.raises(ValueError, match="`fixed_size`"):
        model.compile("sgd", jit_compile=True)
    model.compile("sgd")
    assert not model.jit_compile
    specs = {
        key: tf.TensorSpec(
            (None,) * x.ndim if key != "boxes" else (None, None, 4), x.dtype
        )
        for key, x in batch().items()
    }
    specs["images"] = tf.TensorSpec((None, None, None, 3), "float32")
    data = tf.data.Dataset.from_generator(
        lambda: iter([batch()]), output_signature=specs
    )
    history = model.fit(
        data.repeat(), steps_per_epoch=2, shuffle=False, verbose=0
    ).history
    assert np.isfinite(history["loss"]).all()
