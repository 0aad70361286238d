import keras
import numpy as np
import pytest

from keras_twins.layers import ConvolutionBlock
from keras_twins.layers.normalization import BatchNormalization
from tests.testers import check_layer
from tests.tiny import images
from tests.tiny import to_numpy


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_layer(kernel_size):
    check_layer(
        lambda **kw: ConvolutionBlock(6, kernel_size, **kw),
        images(2, 5, 7, 4),
        (2, 5, 7, 6),
        num_weights=5,
    )


@pytest.mark.parametrize("arguments", [(0,), (4, 0)])
def test_numbers_must_be_positive(arguments):
    with pytest.raises(ValueError, match="must be positive"):
        ConvolutionBlock(*arguments)


def test_training_takes_the_moments_of_the_batch():
    x = 3 + 2 * images(4, 6, 6, 5)
    norm = BatchNormalization()
    y = to_numpy(norm(x, training=True))
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-4)
    # momentum 0.9: the moving mean takes a tenth of the new one.
    mean = to_numpy(norm.moving_mean)
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)) / 10, rtol=1e-4)


@pytest.mark.parametrize("value", [0.1, 33.3, 1234.5])
def test_equal_values_have_no_variance(value):
    """Rounding would make it negative, and the result NaN."""
    x = np.full((2, 6, 6, 3), value, "float32")
    y = to_numpy(BatchNormalization()(x, training=True))
    np.testing.assert_allclose(y, 0, atol=0.2)


def test_what_replicas_saved_loads_everywhere():
    """Keras refuses `synchronized=True` but on TensorFlow."""
    config = BatchNormalization().get_config() | {"synchronized": True}
    assert BatchNormalization.from_config(config).synchronized is False


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute"
)
def test_moments_of_all_replicas():
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        assert BatchNormalization().synchronized
    assert not BatchNormalization().synchronized
