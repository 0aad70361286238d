"""What every layer must do, in one call."""

import contextlib

import keras
import numpy as np

from tests.tiny import to_numpy

POLICIES = ("mixed_float16", "bfloat16", "float64")


def check_layer(
    build,
    inputs: np.ndarray,
    output_shape: tuple[int, ...],
    num_weights: int,
) -> None:
    """Checks shapes, configuration, saving, dtypes and dynamic sizes.

    Args:
        build: Function of keyword arguments of `keras.layers.Layer` that
            returns the layer.
        inputs: Example input, `(batch, height, width, channels)`.
        output_shape: Expected shape of the output.
        num_weights: Expected number of weights.
    """
    layer = build(name="layer")
    outputs = to_numpy(layer(inputs))
    assert outputs.shape == output_shape
    assert np.isfinite(outputs).all()
    assert len(layer.weights) == num_weights
    assert layer.compute_output_shape(inputs.shape) == output_shape
    _check_config(layer, inputs, outputs)
    _check_dynamic(layer, inputs, outputs)
    for policy in POLICIES:
        with double_precision(policy):
            _check_policy(build, policy, inputs)


def double_precision(policy: str):
    """Returns a context in which JAX, which must be asked, has float64."""
    if policy == "float64" and keras.backend.backend() == "jax":
        import jax

        return jax.enable_x64(True)
    return contextlib.nullcontext()


def _check_config(layer, inputs, outputs) -> None:
    """The layer comes back from its configuration and its weights."""
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    if not again.built:
        again.build(inputs.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(to_numpy(again(inputs)), outputs, atol=1e-6)


def _check_dynamic(layer, inputs, outputs) -> None:
    """A graph of unknown size gives what the known size gives."""
    image = keras.Input((None, None, inputs.shape[-1]))
    model = keras.Model(image, layer(image))
    assert len(model.output.shape) == len(outputs.shape)
    static = layer.compute_output_shape((None, None, None, inputs.shape[-1]))
    assert tuple(model.output.shape) == static
    np.testing.assert_allclose(
        model.predict(inputs, verbose=0), outputs, atol=2e-6
    )


def _check_policy(build, policy: str, inputs: np.ndarray) -> None:
    layer = build(dtype=policy)
    outputs = layer(inputs)
    expected = keras.DTypePolicy(policy)
    for part in layer._flatten_layers():
        assert part.compute_dtype == expected.compute_dtype, part.name
        assert part.variable_dtype == expected.variable_dtype, part.name
    for variable in layer.weights:
        dtype = keras.backend.standardize_dtype(variable.dtype)
        assert dtype == expected.variable_dtype, variable.path
    dtype = keras.backend.standardize_dtype(outputs.dtype)
    assert dtype == expected.compute_dtype
    assert np.isfinite(to_numpy(outputs).astype("float32")).all()
