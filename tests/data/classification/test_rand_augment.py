import numpy as np
import pytest
from PIL import Image
from PIL import ImageEnhance
from PIL import ImageOps

from keras_twins.data.classification import rand_augment as module
from keras_twins.data.classification.augmentation import RandAugment
from keras_twins.data.classification.rand_augment import OPERATIONS
from keras_twins.data.classification.rand_augment import Layers
from keras_twins.data.classification.rand_augment import Operation
from keras_twins.data.classification.rand_augment import apply_layers
from keras_twins.data.classification.rand_augment import draw_layers
from keras_twins.data.classification.rand_augment import rand_augment
from keras_twins.data.tensorflow_data import map_in_order
from tests.data.classification.draws import assert_rate
from tests.data.classification.draws import draw_many

tf = pytest.importorskip("tensorflow")

NAMES = [operation.name for operation in OPERATIONS]
HEIGHT, WIDTH = 22, 30
COUNT = 1500

# Operation, magnitude and sign, and what the operation is then called with.
ARGUMENTS = [
    ("AutoContrast", 9, 1, None),
    ("Equalize", 9, 1, None),
    ("Invert", 9, 1, None),
    ("Rotate", 9, 1, 27.0),
    ("Rotate", 5, -1, -15.0),
    ("PosterizeIncreasing", 0, 1, 4),
    ("PosterizeIncreasing", 9, -1, 1),
    ("PosterizeIncreasing", 10, 1, 0),
    ("SolarizeIncreasing", 0, 1, 256),
    ("SolarizeIncreasing", 9, -1, 26),
    ("SolarizeIncreasing", 10, 1, 0),
    ("SolarizeAdd", 9, 1, 99),
    ("SolarizeAdd", 7, -1, 77),
    ("ColorIncreasing", 9, 1, 1.81),
    ("ColorIncreasing", 9, -1, 0.19),
    ("ContrastIncreasing", 9, 1, 1.81),
    ("ContrastIncreasing", 10, -1, 0.1),
    ("BrightnessIncreasing", 5, 1, 1.45),
    ("BrightnessIncreasing", 9, -1, 0.19),
    ("SharpnessIncreasing", 9, 1, 1.81),
    ("SharpnessIncreasing", 0, -1, 1.0),
    ("ShearX", 9, 1, 0.27),
    ("ShearX", 10, -1, -0.3),
    ("ShearY", 9, 1, 0.27),
    ("ShearY", 5, -1, -0.15),
    ("TranslateXRel", 9, 1, 0.405),
    ("TranslateXRel", 10, -1, -0.45),
    ("TranslateYRel", 9, 1, 0.405),
    ("TranslateYRel", 2, -1, -0.09),
]


def picture():
    """Smooth colours that do not fill the range, and some noise."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([40 + 6 * x, 20 + 4 * y + 2 * x, 200 - 5 * y], -1)
    noise = np.random.default_rng(0).integers(-20, 21, smooth.shape)
    return (smooth + noise).clip(10, 240).astype("uint8")


def pixels():
    return tf.constant(picture(), tf.float32)


def moved(image, matrix, resample):
    return image.transform(
        image.size,
        Image.Transform.AFFINE,
        matrix,
        resample,
        fillcolor=(124, 116, 104),
    )


def posterized(image, bits):
    """No bits are black; newer versions of Pillow refuse that."""
    if not bits:
        return Image.new("RGB", image.size)
    return ImageOps.posterize(image, bits)


def brightened(image, addend):
    levels = np.asarray(image).astype(int)
    lighter = np.minimum(levels + addend, 255)
    return np.where(levels < 128, lighter, levels)


def reference(name, image, argument, resample=Image.Resampling.BICUBIC):
    """What Pillow makes of a picture."""
    changes = {
        "AutoContrast": lambda _: ImageOps.autocontrast(image),
        "Equalize": lambda _: ImageOps.equalize(image),
        "Invert": lambda _: ImageOps.invert(image),
        "Rotate": lambda degrees: image.rotate(
            degrees, resample, fillcolor=(124, 116, 104)
        ),
        "PosterizeIncreasing": lambda bits: posterized(image, bits),
        "SolarizeIncreasing": lambda least: ImageOps.solarize(image, least),
        "SolarizeAdd": lambda addend: brightened(image, addend),
        "ColorIncreasing": ImageEnhance.Color(image).enhance,
        "ContrastIncreasing": ImageEnhance.Contrast(image).enhance,
        "BrightnessIncreasing": ImageEnhance.Brightness(image).enhance,
        "SharpnessIncreasing": ImageEnhance.Sharpness(image).enhance,
        "ShearX": lambda factor: moved(
            image, (1, factor, 0, 0, 1, 0), resample
        ),
        "ShearY": lambda factor: moved(
            image, (1, 0, 0, factor, 1, 0), resample
        ),
        "TranslateXRel": lambda share: moved(
            image, (1, 0, share * WIDTH, 0, 1, 0), resample
        ),
        "TranslateYRel": lambda share: moved(
            image, (1, 0, 0, 0, 1, share * HEIGHT), resample
        ),
    }
    return np.asarray(changes[name](argument)).astype(int)


def layers(*rows):
    """From rows of name, whether it is applied, magnitude and sign."""
    names, applied, magnitudes, signs = zip(*rows, strict=True)
    return Layers(
        operations=tf.constant([NAMES.index(name) for name in names]),
        applied=tf.constant(applied),
        magnitudes=tf.constant(magnitudes, tf.float64),
        signs=tf.constant(signs, tf.float64),
    )


def assert_pixels(found, wanted):
    """Equal, but for what rounds the other way once in a while."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert np.mean(found == wanted) > 0.99
    np.testing.assert_allclose(found, wanted, atol=1)


@pytest.fixture(scope="module")
def draws():
    return draw_many(lambda seed: draw_layers(seed, RandAugment()), COUNT)


def test_operations_are_as_probable_as_each_other(draws):
    assert draws["operations"].shape == (COUNT, 2)
    for index in range(15):
        assert_rate(draws["operations"] == index, 1 / 15)
    # With replacement, and apart from each other.
    assert_rate(draws["operations"][:, 0] == draws["operations"][:, 1], 1 / 15)


def test_rates_and_signs(draws):
    assert_rate(draws["applied"], 0.5)
    assert_rate(draws["applied"].all(axis=1), 0.25)
    assert set(draws["signs"].ravel()) == {-1, 1}
    assert_rate(draws["signs"] == 1, 0.5)
    few = draw_many(lambda seed: draw_layers(seed, RandAugment(rate=0.1)), 900)
    assert_rate(few["applied"], 0.1)


def test_magnitudes_are_normal_and_cut(draws):
    found = draws["magnitudes"]
    assert abs(np.median(found) - 9) < 0.05
    # Of a normal distribution, this is between -1 and 1.
    assert_rate(abs(found - 9) < 0.5, 0.6827)
    # And this is above 2: cut to 10.
    assert found.max() == 10
    assert_rate(found == 10, 0.0228)
    assert found.min() > 6.5


def test_magnitudes_are_not_negative():
    rules = RandAugment(magnitude=0, deviation=2)
    found = draw_many(lambda seed: draw_layers(seed, rules), 200)
    assert found["magnitudes"].min() == 0
    assert_rate(found["magnitudes"] == 0, 0.5)


def test_without_deviation_magnitudes_are_exact():
    drawn = draw_layers([3, 4], RandAugment(7, 0.0, layers=3))
    np.testing.assert_array_equal(drawn.magnitudes, [7, 7, 7])


@pytest.mark.parametrize(("name", "magnitude", "sign", "wanted"), ARGUMENTS)
def test_operation_and_its_argument(name, magnitude, sign, wanted):
    one = OPERATIONS[NAMES.index(name)]
    if wanted is None:
        assert one.argument is None
    else:
        level = tf.constant([magnitude / 10, sign], tf.float64)
        found = one.argument(level[0], level[1])
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    found = apply_layers(pixels(), layers((name, True, magnitude, sign)))
    image = Image.fromarray(picture())
    assert_pixels(found, reference(name, image, wanted))
    if magnitude:
        assert np.any(found != picture())


def test_every_operation_is_tested():
    assert {name for name, *_ in ARGUMENTS} == set(NAMES)
    assert len(NAMES) == 15


def test_bilinear_interpolation():
    drawn = layers(("Rotate", True, 9, 1))
    found = apply_layers(pixels(), drawn, "bilinear")
    image = Image.fromarray(picture())
    bilinear = Image.Resampling.BILINEAR
    assert_pixels(found, reference("Rotate", image, 27.0, bilinear))


def test_layers_follow_each_other():
    drawn = layers(
        ("SolarizeIncreasing", True, 5, 1),
        ("Invert", False, 9, 1),
        ("PosterizeIncreasing", True, 9, 1),
    )
    image = Image.fromarray(picture())
    wanted = ImageOps.posterize(ImageOps.solarize(image, 128), 1)
    found = apply_layers(pixels(), drawn)
    np.testing.assert_array_equal(found, np.asarray(wanted))


def test_only_the_chosen_operation_is_computed(monkeypatch):
    computed = []

    def noted(name):
        def note(image):
            computed.append(name)
            return image + np.float32(1)

        return Operation(
            name, lambda image: tf.numpy_function(note, [image], tf.float32)
        )

    monkeypatch.setattr(module, "OPERATIONS", tuple(map(noted, "abc")))

    def change(number):
        drawn = Layers(
            operations=tf.stack([number, (number + 1) % 3]),
            applied=tf.stack([True, number < 2]),
            magnitudes=tf.constant([5, 5], tf.float64),
            signs=tf.constant([1, 1], tf.float64),
        )
        return apply_layers(tf.zeros((2, 2, 3)), drawn)

    numbers = tf.data.Dataset.from_tensor_slices([0, 1, 2])
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    stream = map_in_order(numbers, change).with_options(options)
    found = [image[0, 0, 0] for image in stream.as_numpy_iterator()]
    assert found == [2, 2, 1]
    assert sorted(computed) == ["a", "b", "b", "c", "c"]


def test_result_follows_from_the_seed():
    rules = RandAugment(rate=1.0)
    image = pixels()
    one, same, other = (
        rand_augment(image, [number, 0], rules).numpy() for number in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)
    drawn = draw_layers([1, 0], rules)
    np.testing.assert_array_equal(one, apply_layers(image, drawn))
