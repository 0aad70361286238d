import builtins
import math

import keras
import numpy as np
import pytest
from PIL import Image
from PIL import ImageOps

from keras_twins.preprocessing import IMAGENET_MEAN
from keras_twins.preprocessing import IMAGENET_STD
from keras_twins.preprocessing import EvaluationCrop
from keras_twins.preprocessing import evaluation_crop
from keras_twins.preprocessing import load_image
from keras_twins.preprocessing import normalization_layer
from keras_twins.preprocessing import normalize

ORIENTATION = 0x0112


def picture(width=90, height=61, mode="RGB"):
    """A smooth picture, unlike itself under any flip or rotation."""
    rows, columns = np.mgrid[:height, :width]
    channels = [rows * 4, columns * 2, rows + columns]
    image = Image.fromarray(np.stack(channels, -1).astype("uint8"))
    return image.convert(mode)


def pixels(shape=(2, 5, 4, 3)):
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


def expected_normalized(images):
    scaled = images.astype("float64") / 255
    return (scaled - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)


def test_normalize_keeps_the_published_meaning():
    images = pixels()
    x = normalize(images)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, expected_normalized(images), atol=1e-6)


def test_normalize_refuses_other_channels():
    with pytest.raises(ValueError, match=r"3 channels.*\(2, 5, 4, 1\)"):
        normalize(pixels((2, 5, 4, 1)))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [
        ("float32", 1e-5),
        # TensorFlow reads the layer's constants as float32 in any policy.
        ("float64", 1e-6),
        ("mixed_float16", 5e-3),
        ("mixed_bfloat16", 5e-2),
        ("bfloat16", 5e-2),
    ],
)
def test_the_layer_normalizes_in_its_policy(kind, policy, tolerance):
    images = pixels().astype(kind)
    layer = normalization_layer(dtype=policy)
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has float64 only in a process that enables it")
    x = layer(images)
    dtype = keras.backend.standardize_dtype(x.dtype)
    assert dtype == layer.compute_dtype
    x = np.array(keras.ops.convert_to_numpy(x)).astype("float64")
    np.testing.assert_allclose(x, expected_normalized(images), atol=tolerance)


def test_the_layer_survives_a_saved_model(tmp_path):
    inputs = keras.Input((None, None, 3), dtype="uint8")
    model = keras.Model(inputs, normalization_layer(name="norm")(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("norm").count_params() == 0
    np.testing.assert_array_equal(
        loaded.predict(pixels(), verbose=0), model.predict(pixels(), verbose=0)
    )


def test_evaluation_crops_are_the_published_ones():
    assert evaluation_crop() == EvaluationCrop(resize=248, crop=224)
    assert evaluation_crop("official") == EvaluationCrop(256, 224)


@pytest.mark.parametrize("size", [32, 63, 127, 256, 384, 448, 1001])
def test_evaluation_crops_round_as_their_authors_do(size):
    assert evaluation_crop("timm", size).resize == math.floor(size / 0.9)
    official = int((256 / 224) * size)
    assert evaluation_crop("official", size).resize == official


def test_evaluation_crop_refuses_nonsense():
    with pytest.raises(ValueError, match="'official', 'timm'.*crop='ten'"):
        evaluation_crop("ten")
    with pytest.raises(ValueError, match="size=0"):
        evaluation_crop(size=0)


@pytest.mark.parametrize(
    ("shape", "crop", "resized", "corner"),
    [
        # Width, height -> resized width, height -> left, top of 32 pixels.
        ((90, 61), "timm", (51, 35), (10, 2)),
        ((61, 90), "timm", (35, 51), (2, 10)),
        ((90, 61), "official", (53, 36), (10, 2)),
        ((20, 20), "official", (36, 36), (2, 2)),
    ],
)
def test_load_image_resizes_then_cuts_the_centre(shape, crop, resized, corner):
    image = picture(*shape)
    left, top = corner
    whole = np.asarray(image.resize(resized, Image.Resampling.BICUBIC))
    expected = whole[top : top + 32, left : left + 32]
    loaded = load_image(image, size=32, crop=crop)
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, expected)


def test_load_image_antialiases():
    board = np.indices((640, 640)).sum(0) % 2 * np.uint8(255)
    loaded = load_image(Image.fromarray(board.astype("uint8")), size=32)
    np.testing.assert_allclose(loaded, 127.5, atol=2)


def test_load_image_reads_a_path_as_the_image(tmp_path):
    picture().save(tmp_path / "a picture.png")
    expected = load_image(picture(), size=32)
    for path in (tmp_path / "a picture.png", str(tmp_path / "a picture.png")):
        np.testing.assert_array_equal(load_image(path, size=32), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_load_image_turns_photographs_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = picture()
    stored.save(tmp_path / "photograph.png", exif=exif)
    turns = {
        2: [ImageOps.mirror],
        3: [ImageOps.flip, ImageOps.mirror],
        4: [ImageOps.flip],
        5: [lambda image: image.rotate(-90, expand=True), ImageOps.mirror],
        6: [lambda image: image.rotate(-90, expand=True)],
        7: [lambda image: image.rotate(90, expand=True), ImageOps.mirror],
        8: [lambda image: image.rotate(90, expand=True)],
    }
    for turn in turns.get(orientation, []):
        stored = turn(stored)
    np.testing.assert_array_equal(
        load_image(tmp_path / "photograph.png", size=32),
        load_image(stored, size=32),
    )


@pytest.mark.parametrize("mode", ["L", "1", "LA", "RGBA", "CMYK", "P"])
def test_load_image_makes_every_mode_rgb(mode):
    image = picture(mode=mode)
    expected = load_image(image.convert("RGB"), size=32)
    np.testing.assert_array_equal(load_image(image, size=32), expected)


def test_load_image_takes_a_palette_with_transparency(tmp_path):
    image = picture(mode="P")
    image.save(tmp_path / "palette.png", transparency=b"\x00\x80")
    loaded = load_image(tmp_path / "palette.png", size=32)
    expected = load_image(image.convert("RGB"), size=32)
    np.testing.assert_array_equal(loaded, expected)


@pytest.mark.parametrize(
    ("dtype", "suffix"),
    [("uint16", "png"), ("uint16", "tif"), ("int32", "tif")],
)
def test_load_image_scales_16_bit_grey(tmp_path, dtype, suffix):
    grey = np.asarray(picture(mode="L"))
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(grey.astype(dtype) * 257).save(path)
    loaded = load_image(path, size=32)
    expected = load_image(Image.fromarray(grey), size=32)
    np.testing.assert_array_equal(loaded, expected)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif"])
def test_load_image_names_a_truncated_file(tmp_path, suffix):
    path = tmp_path / f"half.{suffix}"
    picture().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"decoded.*half\.{suffix}"):
        load_image(path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n"])
def test_load_image_names_a_file_that_is_no_image(tmp_path, content):
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.jpg"):
        load_image(path)


def test_load_image_keeps_the_error_of_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        load_image(tmp_path / "missing.png")


def test_load_image_refuses_arrays():
    with pytest.raises(ValueError, match="path .* of type ndarray"):
        load_image(pixels())


def test_without_pillow_the_extra_is_named(monkeypatch):
    real_import = builtins.__import__

    def without_pillow(name, *args, **kwargs):
        if name.split(".")[0] == "PIL":
            raise ImportError("No module named 'PIL'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(ImportError, match=r"keras-twins\[plot\]"):
        load_image("picture.png")
