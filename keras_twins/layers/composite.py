"""What layers that are made of layers have in common."""

from typing import Any

import keras

from keras_twins.ops import Shape


class CompositeLayer(keras.layers.Layer):
    """A layer whose configuration remembers which parts are quantized.

    Abstract: it has no `call`. A quantized part has other variables, and must
    be built as such when the layer comes back from its configuration.
    """

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": serialize_dtype(self)}


class AssembledLayer(CompositeLayer):
    """A layer that is its parts, and knows what each of them takes.

    Abstract: it has no `call`.
    """

    def part_inputs(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        """Returns the parts and the shapes of their inputs, in order.

        Args:
            input_shape: Shape of the layer's input, or a list of shapes.

        Returns:
            Pairs of a part and the shape of its input.
        """
        raise NotImplementedError

    def part_calls(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        """Returns the parts and what they take, once for each call of them.

        Args:
            input_shape: As for `part_inputs`.

        Returns:
            As `part_inputs`, which has every part once.
        """
        return self.part_inputs(input_shape)

    def build_parts(self, input_shape: Any) -> None:
        """Makes the weights of all parts.

        Args:
            input_shape: Shape of the layer's input, or a list of shapes.
        """
        for part, shape in self.part_inputs(input_shape):
            part.build(shape)


def serialize_dtype(layer: keras.layers.Layer) -> Any:
    """Returns the dtype of a layer for its configuration.

    Args:
        layer: A layer or model made of layers.

    Returns:
        The serialised policy; a `DTypePolicyMap` with the path of each
        quantized part, if there is one.
    """
    policy = layer.dtype_policy
    parts = {
        part.path: part.dtype_policy
        for part in layer._flatten_layers(include_self=False)
        if getattr(part, "quantization_mode", None) is not None
    }
    if parts and not isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        policy = keras.dtype_policies.DTypePolicyMap(
            default_policy=policy, policy_map=parts
        )
    return keras.dtype_policies.serialize(policy)
