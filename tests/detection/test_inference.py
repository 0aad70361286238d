import keras
import numpy as np
import pytest

from keras_twins.detection.detections import Detections
from keras_twins.detection.inference import detect
from keras_twins.detection.inference import image_batch
from keras_twins.preprocessing import normalize


class Finder(keras.Model):
    """Detects the bright rectangle in an image, in pixels of the original."""

    def __init__(self, with_masks=False, include_preprocessing=True):
        super().__init__()
        self.with_masks = with_masks
        self.include_preprocessing = include_preprocessing

    def call(self, batch):
        images, sizes = batch["images"], batch["image_sizes"]
        bright = keras.ops.cast(images[..., 0] > 1, "float32")
        edges = []
        for axis in (1, 2):
            length = images.shape[3 - axis]
            line = keras.ops.max(bright, axis=axis)
            place = keras.ops.arange(length, dtype="float32")
            first = keras.ops.min(keras.ops.where(line > 0, place, 1e6), 1)
            last = keras.ops.max(keras.ops.where(line > 0, place, -1), 1)
            edges += [first, last + 1]
        x1, x2, y1, y2 = edges
        box = keras.ops.stack([x1, y1, x2, y2], axis=-1)
        scale = batch["original_sizes"] / sizes
        scale = keras.ops.flip(keras.ops.cast(scale, "float32"), axis=1)
        box = box * keras.ops.tile(scale, (1, 2))
        zeros = keras.ops.zeros_like(box)
        result = {
            "boxes": keras.ops.stack([box, box, zeros], axis=1),
            "scores": keras.ops.convert_to_tensor([[0.9, 0.2, 0.0]]),
            "labels": keras.ops.convert_to_tensor([[2, 1, 0]]),
            "valid": keras.ops.convert_to_tensor([[True, True, False]]),
        }
        if self.with_masks:
            result["masks"] = keras.ops.ones((1, 3, 28, 28))
        return result


def photo(height=60, width=90):
    """A dark image with a bright rectangle."""
    image = np.zeros((height, width, 3), "uint8")
    image[10:30, 40:80] = 200
    return image


@pytest.mark.parametrize("scale", [None, (180, 120), (1333, 120), (90, 60)])
def test_boxes_are_in_pixels_of_the_image(scale):
    found = detect(Finder(), photo(), scale)
    assert len(found) == 2 and found.masks is None
    np.testing.assert_allclose(found.boxes[0], [40, 10, 80, 30], atol=1)
    assert found.scores.tolist() == pytest.approx([0.9, 0.2])
    assert found.labels.tolist() == [2, 1]
    dtypes = found.boxes.dtype, found.scores.dtype, found.labels.dtype
    assert dtypes == ("float32", "float32", "int32")


def test_masks_have_the_size_of_the_image():
    found = detect(Finder(with_masks=True), photo(), (180, 120), 0.5)
    assert len(found) == 1 and found.masks.shape == (1, 60, 90)
    assert found.masks.dtype == bool
    inside = np.zeros((60, 90), bool)
    inside[10:30, 40:80] = True
    assert (found.masks[0] != inside).sum() <= 140


@pytest.mark.parametrize(
    ("size", "scale", "resized", "padded"),
    [
        ((60, 90), None, (60, 90), (64, 96)),
        ((64, 96), None, (64, 96), (64, 96)),
        ((480, 640), (1333, 800), (800, 1067), (800, 1088)),
        ((640, 480), (1333, 800), (1067, 800), (1088, 800)),
        ((100, 1000), (800, 1333), (133, 1333), (160, 1344)),
        ((5, 4), None, (5, 4), (32, 32)),
    ],
)
def test_images_are_resized_and_padded(size, scale, resized, padded):
    image = np.full((*size, 3), 90, "uint8")
    batch = image_batch(image, scale)
    assert batch["images"].shape == (1, *padded, 3)
    assert batch["image_sizes"].tolist() == [list(resized)]
    assert batch["original_sizes"].tolist() == [list(size)]
    inside = batch["images"][0, : resized[0], : resized[1]]
    assert (inside == 90).all()
    assert np.count_nonzero(batch["images"]) == inside.size


def test_models_without_preprocessing_get_normalized_pixels():
    image = photo()
    pixels = image_batch(image, None, as_pixels=False)["images"]
    np.testing.assert_array_equal(pixels[0, :60, :90], normalize(image))
    model = Finder(include_preprocessing=False)
    found = detect(model, image, None)
    np.testing.assert_allclose(found.boxes[0], [40, 10, 80, 30], atol=1)


@pytest.mark.parametrize(
    ("image", "scale", "message"),
    [
        (photo() / 255, None, "from 0 to 255"),
        (photo()[None], None, "one by one"),
        (photo(), (800,), "two positive numbers"),
        (photo(), (0, 800), "two positive numbers"),
    ],
)
def test_wrong_arguments(image, scale, message):
    with pytest.raises(ValueError, match=message):
        detect(Finder(), image, scale)


def test_models_that_detect_nothing():
    model = Finder()
    model.predict_on_batch = lambda batch: batch["images"]
    with pytest.raises(ValueError, match="must be a detector"):
        detect(model, photo(), None)
    fixed = keras.Input((32, 32, 3), name="images")
    model = keras.Model(fixed, keras.layers.Conv2D(4, 1)(fixed))
    with pytest.raises(ValueError, match=r"takes images of .*32, 32.*64, 96"):
        detect(model, photo(), None)


def test_detections_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        Detections(np.zeros((2, 4)), np.zeros(1), np.zeros(1))
    with pytest.raises(ValueError, match=r"shape \(1, height, width\)"):
        Detections(
            np.zeros((1, 4)), np.zeros(1), np.zeros(1), np.zeros((2, 5, 5))
        )


def test_detections_for_json():
    found = Detections(
        np.array([[1, 2, 3, 4.5]], "float32"),
        np.array([0.5], "float32"),
        np.array([1], "int32"),
    )
    assert found.to_list(["cat", "dog"]) == [
        {"name": "dog", "label": 1, "score": 0.5, "box": [1, 2, 3, 4.5]}
    ]
