import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins.bilinear import keep_ratio_size
from keras_twins.bilinear import resize
from keras_twins.pixels import as_pixels
from keras_twins.segmentation.inference import predict_multi_scale
from keras_twins.segmentation.inference import segment
from keras_twins.segmentation.inference import segment_images
from keras_twins.segmentation.passes import InferenceSettings
from keras_twins.segmentation.prediction import predict_sliding
from keras_twins.segmentation.prediction import predict_whole
from keras_twins.segmentation.sliding_windows import windows
from tests.tiny import randomise
from tests.tiny import to_numpy

CLASSES = 4


def picture(height, width, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3)).astype("uint8")


def convolution(side=1, size=(None, None)):
    image = keras.Input((*size, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(CLASSES, side, padding="same")(x)
    model = keras.Model(image, x)
    randomise(model)
    return model


def softmax(scores):
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


class Fake:
    """A model in NumPy: nothing to compile, and it sees where pixels are."""

    def __init__(self, output=None):
        self.output = output
        self.shapes = []

    def scores(self, image):
        rows, columns = np.indices(image.shape[:2]) / 50
        red, green, _ = np.moveaxis(image / 255, -1, 0)
        maps = (red, green + columns, rows - red, np.sin(columns))
        return np.stack(maps, axis=-1).astype("float32")

    def predict_on_batch(self, batch):
        self.shapes.append(batch.shape)
        if self.output is not None:
            return self.output(batch)
        return np.stack([self.scores(image) for image in batch])


@pytest.mark.parametrize(
    "size", [(5, 7), (10, 14), (3, 7), (5, 4), (13, 3), (1, 1)]
)
def test_resizing_is_that_of_the_backends(size):
    image = picture(5, 7).astype("float32")
    expected = keras.ops.image.resize(
        image, size, data_format="channels_last", antialias=False
    )
    np.testing.assert_allclose(
        resize(image, size), to_numpy(expected), atol=1e-3
    )


def test_resizing_in_blocks():
    image = np.random.default_rng(0).random((20, 30, 150), dtype="float32")
    whole = resize(image, (90, 130))
    parts = [
        resize(image[..., i : i + 1], (90, 130)) for i in range(0, 150, 30)
    ]
    np.testing.assert_array_equal(whole[..., ::30], np.concatenate(parts, -1))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((768, 1024), (512, 683)),
        ((512, 683), (512, 683)),
        ((300, 2000), (307, 2048)),
        ((64, 64), (512, 512)),
        ((2000, 300), (2048, 307)),
    ],
)
def test_sizes_that_keep_the_ratio(size, expected):
    assert keep_ratio_size(*size, (2048, 512)) == expected
    assert keep_ratio_size(*size, (512, 2048)) == expected


def test_windows_are_moved_back_into_the_image():
    positions = windows((512, 683), 512, 341)
    assert [(c.start, c.stop) for _, c in positions] == [(0, 512), (171, 683)]
    assert {(r.start, r.stop) for r, _ in positions} == {(0, 512)}


@settings(max_examples=50, deadline=None)
@given(*[st.tuples(st.integers(1, 40), st.integers(1, 40))] * 3)
def test_windows_of_one_size_cover_the_image(image_size, size, stride):
    stride = tuple(min(pair) for pair in zip(size, stride, strict=True))
    visits = np.zeros(image_size, int)
    for window in windows(image_size, size, stride):
        part = visits[window]
        expected = tuple(map(min, zip(image_size, size, strict=True)))
        assert part.shape == expected
        part += 1
    assert visits.min() >= 1
    count = [
        max(-(-(n - k) // s), 0) + 1
        for n, k, s in zip(image_size, size, stride, strict=True)
    ]
    assert len(windows(image_size, size, stride)) == count[0] * count[1]


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("size", [8, (7, 40)])
def test_sliding_equals_whole_for_a_pixelwise_model(size, batch_size):
    model, image = convolution(), picture(21, 30)
    np.testing.assert_allclose(
        predict_sliding(model, image, size, 5, batch_size),
        predict_whole(model, image),
        atol=1e-6,
    )


@pytest.mark.parametrize("window", [(9, 12), (9, 20), (64, 64)])
def test_a_window_that_holds_the_image_is_the_whole_image(window):
    model, image = convolution(3), picture(9, 12)
    np.testing.assert_array_equal(
        predict_sliding(model, image, window, 9), predict_whole(model, image)
    )


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_sliding_averages_the_windows(batch_size):
    image, model = picture(20, 33), Fake()
    total, visits = np.zeros((20, 33, CLASSES)), np.zeros((20, 33, 1))
    for top, left in itertools.product((0, 6, 8), (0, 6, 12, 18, 21)):
        window = np.s_[top : top + 12, left : left + 12]
        total[window] += model.scores(image[window].astype("float32"))
        visits[window] += 1
    scores = predict_sliding(model, image, 12, 6, batch_size)
    np.testing.assert_allclose(scores, total / visits, rtol=1e-5)
    # One program for all windows.
    assert set(model.shapes) == {(min(batch_size, 15), 12, 12, 3)}


@pytest.mark.parametrize("mode", ["whole", "slide"])
def test_segment_resizes_and_comes_back_to_the_size_of_the_image(mode):
    image, model = picture(90, 60), Fake()
    result = segment(
        model, image, mode=mode, resize=(96, 48), size=40, stride=24
    )
    assert {shape[1:3] for shape in model.shapes} == {
        "whole": {(72, 48)},
        "slide": {(40, 40)},
    }[mode]
    scaled = np.rint(resize(image, (72, 48)))
    scores = (
        model.scores(scaled)
        if mode == "whole"
        else predict_sliding(model, scaled, 40, 24)
    )
    assert result.labels.shape == (90, 60) and result.labels.dtype == np.uint8
    np.testing.assert_array_equal(
        result.labels, resize(scores, (90, 60)).argmax(axis=-1)
    )
    assert result.probabilities is None


def test_the_default_is_the_size_of_ade20k():
    model = Fake()
    segment(model, picture(192, 256))
    assert model.shapes == [(1, 512, 683, 3)]


def test_scales_and_flips_average_probabilities():
    image, model = picture(50, 70), Fake()
    total = np.zeros((50, 70, CLASSES))
    for target in ((34, 48), (69, 96)):
        scaled = np.rint(resize(image, target))
        for step in (1, -1):
            scores = model.scores(scaled[:, ::step])
            total += softmax(resize(scores, (50, 70)))[:, ::step]
    result = segment(
        model,
        image,
        scales=(0.5, 1),
        flip=True,
        resize=(96, 96),
        probabilities=True,
    )
    np.testing.assert_allclose(result.probabilities, total / 4, atol=1e-5)
    np.testing.assert_array_equal(result.labels, total.argmax(axis=-1))
    again = predict_multi_scale(
        model, image, (0.5, 1), settings=InferenceSettings(resize=(96, 96))
    )
    np.testing.assert_array_equal(again, result.probabilities)


def test_without_resize_the_image_keeps_its_size():
    image, model = picture(48, 64), Fake()
    result = segment(model, image, resize=None)
    np.testing.assert_array_equal(
        result.labels, model.scores(image).argmax(axis=-1)
    )
    segment(model, image, resize=None, scales=(1.5,))
    assert model.shapes == [(1, 48, 64, 3), (1, 72, 96, 3)]


def test_models_of_probabilities():
    image, model = picture(40, 40), Fake()
    activated = Fake(lambda batch: softmax(model.predict_on_batch(batch)))
    kinds = {"resize": None, "flip": True, "probabilities": True}
    expected = segment(model, image, **kinds).probabilities
    result = segment(activated, image, from_logits=False, **kinds)
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-6)
    with pytest.raises(ValueError, match="Pass `from_logits=False`"):
        segment(activated, image, **kinds)
    with pytest.raises(ValueError, match="Pass `from_logits=True`"):
        segment(model, image, from_logits=False, **kinds)


def test_models_of_normalised_images_take_no_pixels():
    image, model = picture(40, 40), Fake()
    model.include_preprocessing = False
    with pytest.raises(ValueError, match="type uint8. Pass .*normalize"):
        segment(model, image, resize=None)
    found = segment(model, image.astype("float32"), resize=None)
    np.testing.assert_array_equal(
        found.labels, segment(Fake(), image, resize=None).labels
    )


def test_the_kind_of_scores_is_found_out():
    image, model = picture(40, 40), Fake()
    activated = Fake(lambda batch: softmax(model.predict_on_batch(batch)))
    kinds = {"resize": None, "flip": True, "probabilities": True}
    expected = segment(model, image, **kinds).probabilities
    for each in (model, activated):
        result = segment(each, image, from_logits=None, **kinds)
        np.testing.assert_allclose(result.probabilities, expected, atol=1e-6)


def test_more_than_255_classes_take_wider_labels():
    model = Fake(lambda batch: np.eye(300)[batch[..., 0].astype(int) + 40])
    image = np.full((32, 32), 250, "uint8")
    labels = segment(model, image, resize=None, from_logits=False).labels
    assert labels.dtype == np.int32 and (labels == 290).all()


def test_keras_models_of_dynamic_size():
    model = convolution(3)
    for height, width in ((33, 40), (40, 33)):
        image = picture(height, width)
        scores = to_numpy(model(image[None].astype("float32")))[0]
        np.testing.assert_array_equal(
            segment(model, image, resize=None).labels, scores.argmax(axis=-1)
        )


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 2), (6, 5, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "bool", "float64"])
def test_images_of_other_kinds(shape, dtype):
    image = picture(6, 5)[..., :1].repeat(4, axis=-1)
    grey = len(shape) == 2 or shape[-1] < 3
    other = image[..., 0] if len(shape) == 2 else image[..., : shape[-1]]
    pixels = as_pixels(other.astype(dtype))
    assert pixels.shape == (6, 5, 3) and pixels.dtype == np.float32
    expected = image[..., [0, 0, 0] if grey else [0, 1, 2]].astype(dtype)
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((1, 40, 40, 3)), r"shape=\(1, 40, 40, 3\)"),
        (np.zeros((3, 40, 40)), r"shape=\(3, 40, 40\)"),
        (np.zeros((40,)), r"shape=\(40,\)"),
        (np.zeros((0, 40, 3)), r"shape=\(0, 40, 3\)"),
        (np.full((40, 40, 3), np.nan), "4800 that are NaN"),
        (np.full((40, 40), 256, "uint16"), "up to 256, of type uint16"),
        (np.full((40, 40, 3), 2**20), "up to 1048576, of type int64"),
        (np.array([["a"]]), "NumPy array of numbers"),
        ([[1, 2]], "type list.*numpy.asarray"),
        ("photo.jpg", "name 'photo.jpg'.*preprocessing.read_image"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        segment(Fake(), image)


@pytest.mark.parametrize(
    ("size", "arguments", "message"),
    [
        ((31, 80), {"resize": None}, "an image of 31x80 pixels, 31x80 with"),
        ((20, 4000), {}, "20x4000 pixels, 10x2048 with"),
        ((64, 64), {"resize": (64, 64), "scales": (0.25,)}, "16x16 with"),
    ],
)
def test_images_that_get_too_small_are_refused(size, arguments, message):
    with pytest.raises(ValueError, match=message):
        segment(Fake(), picture(*size), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "sliding"}, "mode='sliding'"),
        ({"scales": ()}, r"scales=\(\)"),
        ({"scales": (1, -1)}, r"scales=\(1, -1\)"),
        ({"resize": (0, 512)}, r"resize=\(0, 512\)"),
        ({"size": 0}, "size=0"),
        ({"stride": (1, 2, 3)}, r"stride=\(1, 2, 3\)"),
        ({"size": 64, "stride": 65}, "stride=65, size=64"),
        ({"mode": "slide", "batch_size": 0}, "batch_size=0"),
        ({"batch_size": 1.5}, "batch_size=1.5"),
        ({"size": (64.0, 64.0)}, r"size=\(64.0, 64.0\)"),
        ({"stride": 32.0}, "stride=32.0"),
        ({"scales": 1.0}, r"such as \(1.0,\). Received: scales=1.0"),
        ({"scales": (1, float("nan"))}, r"scales=\(1, nan\)"),
        ({"scales": (float("inf"),)}, r"scales=\(inf,\)"),
        ({"scales": "1"}, "scales='1'"),
        ({"resize": 512}, "resize=512"),
        ({"resize": (512, 51.2)}, r"resize=\(512, 51.2\)"),
        ({"resize": (512, 512, 3)}, r"resize=\(512, 512, 3\)"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        InferenceSettings(**arguments)
    with pytest.raises(ValueError, match=message):
        segment(Fake(), picture(64, 64), **arguments)


def test_settings_may_be_numbers_of_numpy():
    image, model = picture(64, 64), Fake()
    scores = predict_sliding(
        model, image, np.int64(32), np.array([16, 32]), np.int32(2)
    )
    np.testing.assert_array_equal(
        scores, predict_sliding(model, image, 32, (16, 32), 2)
    )
    chosen = InferenceSettings(
        scales=np.array([0.5, 1]), resize=[np.int64(64), 64]
    )
    assert chosen.scales == (0.5, 1.0)
    probabilities = predict_multi_scale(
        model, image, chosen.scales, settings=chosen
    )
    np.testing.assert_array_equal(
        probabilities,
        predict_multi_scale(
            model, image, (0.5, 1), settings=InferenceSettings(resize=(64, 64))
        ),
    )


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: {"scores": x, "auxiliary": x}, "type dict"),
        (lambda x: x[:, ::4, ::4], r"shape \(1, 10, 10, 3\)"),
        (lambda x: x[..., 0], r"shape \(1, 40, 40\)"),
        (lambda x: x[..., :1], r"shape \(1, 40, 40, 1\)"),
    ],
)
def test_models_of_other_outputs_are_refused(output, message):
    with pytest.raises(ValueError, match=message):
        predict_whole(Fake(output), picture(40, 40))


@pytest.mark.parametrize("mode", ["whole", "slide"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(mode, value):
    model = Fake()

    def scores(batch):
        maps = np.stack([model.scores(image) for image in batch])
        maps[0, 20, 3, 1] = value
        return maps

    settings = {"mode": mode, "resize": None, "size": 32, "stride": 32}
    with pytest.raises(ValueError, match="1 of .* that are NaN or infinite"):
        segment(Fake(scores), picture(40, 40), **settings)


def test_a_model_that_fails_on_small_images():
    def refuse(batch):
        raise RuntimeError("kernel size cannot be greater than the input")

    for arguments in ({}, {"size": 16, "stride": 16}):
        image = picture(40, 40) if arguments else picture(10, 10)
        with pytest.raises(ValueError, match="32x32 pixels or more"):
            predict_sliding(Fake(refuse), image, **arguments)
    with pytest.raises(RuntimeError, match="kernel size"):
        predict_sliding(Fake(refuse), picture(32, 32))


def test_a_model_of_a_fixed_size_takes_windows_of_it():
    model, image = convolution(1, (32, 32)), picture(40, 60)
    with pytest.raises(ValueError, match="slide a window"):
        segment(model, image, resize=None)
    scores = predict_sliding(model, image, 32, 32)
    expected = predict_whole(convolution(), image)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_a_model_that_is_built_by_the_first_image_takes_others():
    model = keras.Sequential([keras.layers.Conv2D(CLASSES, 1)])
    for size in ((8, 9), (9, 8)):
        assert predict_whole(model, picture(*size)).shape == (*size, CLASSES)


def test_images_of_different_sizes():
    images = [picture(40, 50), picture(64, 33), picture(40, 50, seed=1)]
    model, lines = Fake(), []
    results = segment_images(
        model, images, InferenceSettings(resize=None), say=lines.append
    )
    # One at a time.
    assert next(results).labels.shape == (40, 50) and len(model.shapes) == 1
    assert [r.labels.shape for r in results] == [(64, 33), (40, 50)]
    assert [line.split(",")[0] for line in lines] == [
        f"image {n} of 3" for n in (1, 2, 3)
    ]
    assert lines[-1].endswith(" 0 s left")


def test_a_broken_image_is_named_by_its_number():
    images = iter([picture(40, 50), np.zeros((2, 2, 9)), picture(40, 50)])
    lines = []
    results = segment_images(Fake(), images, say=lines.append)
    next(results)
    with pytest.raises(ValueError, match=r"^Image 2: .*shape=\(2, 2, 9\)"):
        next(results)
    assert len(lines) == 1 and lines[0].startswith("image 1, ")
