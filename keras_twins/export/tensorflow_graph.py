"""The forward pass as a TensorFlow graph, on the TensorFlow backend."""

import importlib
from typing import Any

import keras

from keras_twins.export.plan import input_spec
from keras_twins.export.plan import output_names


def serving_function(
    model: keras.Model, batch_size: int | None = None, flat: bool = False
) -> Any:
    """Returns the forward pass as a graph that reads the weights.

    Args:
        model: The model to export.
        batch_size: Number of images, `None` if any.
        flat: Whether it returns a list, whatever the model returns.

    Returns:
        A `tf.function` of one argument.
    """
    import tensorflow as tf

    def serve(images: Any) -> Any:
        outputs = model(images, training=False)
        return keras.tree.flatten(outputs) if flat else outputs

    spec = input_spec(model, batch_size)
    signature = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name)]
    return tf.function(serve, input_signature=signature, autograph=False)


def frozen_function(model: keras.Model, batch_size: int | None = None) -> Any:
    """Returns the forward pass as a graph with the weights as constants.

    Weights that are variables would be traced and saved again by each
    converter, which takes three times as long.

    Args:
        model: The model to export.
        batch_size: Number of images, `None` if any.

    Returns:
        A concrete function of one argument, with a flat list of outputs.
    """
    # What tf.lite uses itself; pyright does not find it in the package.
    constants: Any = importlib.import_module(
        "tensorflow.python.framework.convert_to_constants"
    )
    function = serving_function(model, batch_size, flat=True)
    return constants.convert_variables_to_constants_v2(
        function.get_concrete_function(), lower_control_flow=False
    )


def named_function(model: keras.Model, batch_size: int | None = None) -> Any:
    """Returns what `frozen_function` returns, with the names of the outputs.

    Args:
        model: The model to export.
        batch_size: Number of images, `None` if any.

    Returns:
        A concrete function of one argument: with a dictionary, if the model
        returns one, else with a flat list.
    """
    import tensorflow as tf

    names, frozen = output_names(model), frozen_function(model, batch_size)
    if names is None:
        return frozen

    def serve(images: Any) -> dict[str, Any]:
        return dict(zip(names, frozen(images), strict=True))

    spec = input_spec(model, batch_size)
    signature = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name)]
    named = tf.function(serve, input_signature=signature, autograph=False)
    return named.get_concrete_function()
