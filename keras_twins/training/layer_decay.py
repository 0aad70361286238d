"""Learning rates that fall from the head of a model to its stem."""

import re
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_twins.ops import Tensor
from keras_twins.training.optimizer import ResumableAdamW

_STAGE_LAYER = re.compile(
    r"stage(?P<stage>\d)_"
    r"(?:block(?P<block>\d+)|patch_embedding|peg|(?P<norm>output_norm))"
)
_Place = tuple[int, int]
"""Stage and block."""


def layer_scales(model: keras.Model, decay: float) -> list[float]:
    """Returns what the learning rate of each weight is multiplied by.

    The head has 1, each block `decay` times what the block behind it has, and
    the first patch embedding `decay` times what the first block has. Other
    patch embeddings and position encodings belong to the first block of their
    stage, norms of outputs to the last; as in timm.

    Args:
        model: A model on a Twins backbone, such as a classifier.
        decay: Ratio between a block and the next, above 0 and at most 1.

    Returns:
        A factor for each of `model.trainable_variables`.

    Raises:
        ValueError: If `decay` is out of range, or there is no such backbone.

    Reference:
        - [ELECTRA](https://arxiv.org/abs/2003.10555)
        - [BEiT](https://arxiv.org/abs/2106.08254)

    Example:

    ```python
    from keras_twins.training import layer_scales

    backbone = keras_twins.TwinsBackbone(keras_twins.VARIANTS["svt_small"])
    scales = layer_scales(backbone, 0.75)
    ```
    """
    if not 0 < decay <= 1:
        raise ValueError(
            "`decay` must be above 0 and at most 1; without a decay, use "
            f"`adamw`. Received: {decay=}"
        )
    layers = list(_outer_layers(model))
    blocks = _blocks(layers)
    if not blocks:
        raise ValueError(
            "`model` must stand on a Twins backbone, with layers such as "
            f"'stage0_block0'. Received: {model.name} with the layers "
            f"{[layer.name for layer in layers][:5]}"
        )
    depths = {
        id(variable): _depth(layer.name, blocks)
        for layer in layers
        for variable in layer.trainable_variables
    }
    head = len(blocks) + 1
    return [
        decay ** (head - depths.get(id(variable), head))
        for variable in model.trainable_variables
    ]


@keras.saving.register_keras_serializable(package="keras_twins")
class LayerDecayAdamW(ResumableAdamW):
    """AdamW with a learning rate of its own for each weight.

    The rate of a weight, and with it the decay, is `learning_rate` times a
    factor that never changes. Everything else is as in `ResumableAdamW`.

    Args:
        learning_rate: The rate, or a schedule, before it is multiplied.
        weight_decay: Share of the rate that each step takes off the weights.
        scales: A factor for each trainable variable of the model, in order;
            `layer_scales` gives them.
        **kwargs: Arguments of `keras.optimizers.AdamW`.

    Raises:
        ValueError: If the optimizer is built for another number of variables.

    Example:

    ```python
    from keras_twins.training import LayerDecayAdamW
    from keras_twins.training import layer_scales

    backbone = keras_twins.TwinsBackbone(keras_twins.VARIANTS["svt_small"])
    optimizer = LayerDecayAdamW(1e-4, 0.05, layer_scales(backbone, 0.75))
    ```
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        weight_decay: float = 0.05,
        scales: Sequence[float] = (),
        **kwargs: Any,
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self._scales = tuple(float(scale) for scale in scales)

    def build(self, var_list: Sequence[keras.Variable]) -> None:
        """Makes the state.

        Args:
            var_list: The trainable variables that `scales` are for.
        """
        if len(var_list) != len(self._scales):
            raise ValueError(
                "`scales` must have one factor for each trainable variable. "
                "If layers were frozen or thawed, call `layer_scales` anew. "
                f"Received: {len(self._scales)} factors for {len(var_list)} "
                "variables"
            )
        super().build(var_list)

    def update_step(
        self, gradient: Tensor, variable: Any, learning_rate: Tensor
    ) -> None:
        """Updates one variable; called on TensorFlow and JAX.

        Args:
            gradient: Its gradient.
            variable: The variable, Keras's or TensorFlow's.
            learning_rate: The rate, not yet multiplied.
        """
        rate = ops.cast(learning_rate, variable.dtype) * self._scale(variable)
        if self._use_weight_decay(variable):
            loss = ops.multiply(variable, rate * self.weight_decay)
            self.assign_sub(variable, loss)
        super().update_step(gradient, variable, rate)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "scales": list(self._scales)}

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Does nothing: the decay is part of the update."""

    def _parallel_update_step(
        self,
        grads: Sequence[Tensor],
        variables: Sequence[keras.Variable],
        learning_rate: Tensor,
    ) -> None:
        """Updates all variables; called on PyTorch."""
        groups = defaultdict(list)
        for gradient, variable in zip(grads, variables, strict=True):
            groups[self._scale(variable)].append((gradient, variable))
        for scale, group in groups.items():
            rate = learning_rate * scale
            for _, variable in group:
                if self._use_weight_decay(variable):
                    left = 1 - rate * self.weight_decay
                    variable.assign(variable * left)
            gradients = [gradient for gradient, _ in group]
            scaled = [variable for _, variable in group]
            super()._parallel_update_step(gradients, scaled, rate)

    def _scale(self, variable: Any) -> float:
        return self._scales[self._get_variable_index(variable)]


def _outer_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model and of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _outer_layers(layer)
        else:
            yield layer


def _blocks(layers: Sequence[keras.layers.Layer]) -> list[_Place]:
    """Returns the blocks of the backbone, in order."""
    matches = [_STAGE_LAYER.fullmatch(layer.name) for layer in layers]
    return sorted(
        (int(match["stage"]), int(match["block"]))
        for match in matches
        if match and match["block"]
    )


def _depth(name: str, blocks: Sequence[_Place]) -> int:
    """Returns 0 for the stem, then the number of the block, then the head."""
    if name == "norm":
        return len(blocks)
    match = _STAGE_LAYER.fullmatch(name)
    if match is None:
        return len(blocks) + 1
    if name == "stage0_patch_embedding":
        return 0
    stage = int(match["stage"])
    if match["norm"]:
        return 1 + max(i for i, (s, _) in enumerate(blocks) if s == stage)
    return 1 + blocks.index((stage, int(match["block"] or 0)))
