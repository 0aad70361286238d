"""What every layer must do, in one call."""

import contextlib

import keras
import numpy as np

from tests.compiling import call_compiled
from tests.tiny import to_numpy

POLICIES = ("mixed_float16", "bfloat16", "float64")


def check_layer(
    build,
    inputs: np.ndarray | list[np.ndarray],
    output_shape: tuple[int, ...] | list[tuple[int, ...]],
    num_weights: int,
) -> None:
    """Checks shapes, configuration, saving, dtypes and dynamic sizes.

    Args:
        build: Function of keyword arguments of `keras.layers.Layer` that
            returns the layer.
        inputs: Example input, `(batch, height, width, channels)`, or a list.
        output_shape: Expected shape of the output, or of each of a list.
        num_weights: Expected number of weights.
    """
    layer = build(name="layer")
    outputs = keras.tree.map_structure(to_numpy, _call(layer, inputs))
    assert _shapes(outputs) == output_shape
    assert all(np.isfinite(x).all() for x in keras.tree.flatten(outputs))
    assert len(layer.weights) == num_weights
    assert layer.compute_output_shape(_shapes(inputs)) == output_shape
    _check_config(layer, inputs, outputs)
    _check_dynamic(layer, inputs, outputs)
    for policy in POLICIES:
        with double_precision(policy):
            _check_policy(build, policy, inputs)


def _shapes(x, unknown: bool = False):
    """Returns the shape of an array, or of each of a list."""
    if isinstance(x, list):
        return [_shapes(part, unknown) for part in x]
    return (None, None, None, x.shape[-1]) if unknown else tuple(x.shape)


def _call(layer, inputs):
    if not layer.built:
        layer.build(_shapes(inputs))
    return call_compiled(layer, inputs)


def _close(found, expected, atol: float) -> None:
    pairs = zip(
        keras.tree.flatten(found), keras.tree.flatten(expected), strict=True
    )
    for one, other in pairs:
        np.testing.assert_allclose(to_numpy(one), other, atol=atol)


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
        again.build(_shapes(inputs))
    again.set_weights(layer.get_weights())
    _close(_call(again, inputs), outputs, atol=1e-6)


def _check_dynamic(layer, inputs, outputs) -> None:
    """A graph of unknown size gives what the known size gives."""
    image = keras.tree.map_structure(
        lambda x: keras.Input((None, None, x.shape[-1])), inputs
    )
    model = keras.Model(image, layer(image))
    static = layer.compute_output_shape(_shapes(inputs, unknown=True))
    assert _shapes(model.output) == static
    _close(model.predict(inputs, verbose=0), outputs, atol=2e-6)


def _check_policy(
    build, policy: str, inputs: np.ndarray | list[np.ndarray]
) -> None:
    layer = build(dtype=policy)
    outputs = _call(layer, inputs)
    expected = keras.DTypePolicy(policy)
    for part in layer._flatten_layers():
        assert part.compute_dtype == expected.compute_dtype, part.name
        assert part.variable_dtype == expected.variable_dtype, part.name
    for variable in layer.weights:
        dtype = keras.backend.standardize_dtype(variable.dtype)
        assert dtype == expected.variable_dtype, variable.path
    for x in keras.tree.flatten(outputs):
        dtype = keras.backend.standardize_dtype(x.dtype)
        assert dtype == expected.compute_dtype
        assert np.isfinite(to_numpy(x).astype("float32")).all()
