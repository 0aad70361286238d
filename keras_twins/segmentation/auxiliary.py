"""Training with a second head that inference does not have."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from keras_twins.backbone.dense_model import DenseModel
from keras_twins.ops import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Auxiliary:
    """The second head, which only training sees.

    Args:
        weight: Share of its loss.
        filters: Number of its channels.
    """

    weight: float = 0.4
    filters: int = 256


class AuxiliaryTraining(DenseModel):
    """A model whose steps of training see a second head.

    Abstract: a functional model with one output, images to scores. One that
    has a second head calls `set_training_graph` and sets `auxiliary`. The
    loss of `compile` is that of both heads; `loss_weights` are the first's.
    """

    auxiliary: Auxiliary | None = None
    _get_training_graph: Callable[[], keras.Model]
    _in_train_step = False

    def set_training_graph(
        self, images: Tensor, scores: Tensor, auxiliary_scores: Tensor
    ) -> None:
        """Sets what training computes.

        Args:
            images: The input.
            scores: Scores of the first head.
            auxiliary_scores: Scores of the second.
        """
        outputs = {"scores": scores, "auxiliary": auxiliary_scores}
        graph = keras.Model(images, outputs)
        # Behind a function: as an attribute, Keras would count its weights.
        self._get_training_graph = lambda: graph

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Any = None
    ) -> Any:
        if training and self._in_train_step and self.auxiliary is not None:
            return self.call_with_auxiliary(inputs)
        return super().call(inputs, training=training, mask=mask)

    def call_with_auxiliary(
        self, inputs: Tensor, training: bool = True
    ) -> dict[str, Tensor]:
        """Returns the scores of both heads.

        Args:
            inputs: Images of shape `(batch, height, width, channels)`.
            training: Whether dropout is active, and moments are the batch's.

        Returns:
            `"scores"` and `"auxiliary"`, tensors of shape `(batch, height,
            width, num_classes)`.

        Raises:
            ValueError: If there is no auxiliary head.
        """
        if self.auxiliary is None:
            raise ValueError(
                f"{self.name} has no auxiliary head: call the model itself."
            )
        return self._get_training_graph()(inputs, training=training)

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        # Not for all calls with `training=True`: a model that this one is a
        # part of expects what its graph has, one tensor.
        self._in_train_step = True
        try:
            return super().train_step(*args, **kwargs)
        finally:
            self._in_train_step = False

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        if not isinstance(y_pred, dict) or self.auxiliary is None:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        loss = super().compute_loss(
            x, y, y_pred["scores"], sample_weight, training
        )
        second = self._auxiliary_loss(y, y_pred["auxiliary"], sample_weight)
        return loss + self.auxiliary.weight * second

    def _auxiliary_loss(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        if isinstance(self.loss, (dict, list, tuple)):
            raise ValueError(
                "With an auxiliary head, the `loss` of `compile` must be one "
                f"loss, of both heads. Received: loss={self.loss!r}"
            )
        loss = keras.losses.get(self.loss)
        if not isinstance(loss, keras.losses.Loss):
            loss = _MeanLoss(loss)
        return loss(y, y_pred, sample_weight)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        if isinstance(y_pred, dict):
            y_pred = y_pred["scores"]
        return super().compute_metrics(x, y, y_pred, sample_weight)


class _MeanLoss(keras.losses.Loss):
    """A loss function that `compile` knows by its name alone."""

    def __init__(self, function: Callable[[Any, Any], Any]):
        super().__init__(name="mean_loss")
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)
