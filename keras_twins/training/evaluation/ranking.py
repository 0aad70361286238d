"""What is counted of each image, computed beside the classifier.

Shape suffixes: B batch, C classes, S classes that are scored.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twins.ops import Tensor
from keras_twins.training.evaluation.class_subsets import ClassMap

# As Keras's losses clip probabilities.
_LEAST_PROBABILITY = 1e-7
# Probabilities in half precision add up to little more or less than 1.
_SUM_TOLERANCE = 1e-2


class Ranker(keras.Model):
    """From a batch to what is counted of each image.

    Labels go along, so that no strategy can change which row belongs to
    which label.

    Args:
        classifier: Model from images to scores of shape `(batch, classes)`.
        num_labels: Number of classes of the data set.
        class_map: Which output of the model stands for each label.

    Call arguments:
        inputs: Dictionary with `"images"`, `"labels"` and `"valid"`.
        training: Not used: the model runs as in inference.

    Call returns:
        Dictionary of tensors of shape `(batch,)`.
    """

    def __init__(
        self,
        classifier: keras.Model,
        num_labels: int,
        class_map: ClassMap | None,
    ):
        # The classifier casts its inputs itself.
        super().__init__(name="ranker", dtype="float32", autocast=False)
        self.classifier = classifier
        # As lists, Keras would track them.
        self._outputs = None if class_map is None else class_map.outputs
        self._restrict = class_map is not None and class_map.restrict
        self._num_outputs = class_map.num_outputs if class_map else num_labels
        self.jit_compile = classifier.jit_compile
        self.run_eagerly = classifier.run_eagerly
        self.built = True

    def call(
        self, inputs: Mapping[str, Tensor], training: bool | None = None
    ) -> dict[str, Tensor]:
        """Returns a number of each kind for each image."""
        scores_BC = self.classifier(inputs["images"], training=False)
        scores_BC = ops.cast(self._checked(scores_BC), "float32")
        labels_B = ops.cast(inputs["labels"], "int32")
        scores_BS, targets_B = self._mapped(scores_BC, labels_B)
        chosen_BS = _one_hot(targets_B, scores_BS)
        looks = _look_like_probabilities(scores_BC)
        return {
            "valid": ops.cast(inputs["valid"], "int32"),
            "label": labels_B,
            "target": targets_B,
            "predicted": ops.cast(ops.argmax(scores_BS, axis=-1), "int32"),
            "rank": _rank(scores_BS, chosen_BS),
            "finite": ops.cast(_all(ops.isfinite(scores_BC)), "int32"),
            "probabilities": ops.cast(looks, "int32"),
            "loss_of_probabilities": _loss_of_probabilities(
                scores_BS, chosen_BS
            ),
            "loss_of_logits": _loss_of_logits(scores_BS, chosen_BS),
        }

    def _checked(self, scores_BC: Any) -> Tensor:
        shape = getattr(scores_BC, "shape", None)
        if shape is None or tuple(shape[1:]) != (self._num_outputs,):
            received = type(scores_BC).__name__ if shape is None else shape
            raise ValueError(
                "The model must return scores of shape (batch, "
                f"{self._num_outputs}). Received: {received}. Where the data "
                "set has other classes than the model, pass a `class_map`."
            )
        return scores_BC

    def _mapped(
        self, scores_BC: Tensor, labels_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the scores that count, and where the true one stands."""
        if self._outputs is None:
            return scores_BC, labels_B
        outputs_S = np.array(self._outputs, "int32")
        if self._restrict:
            return ops.take(scores_BC, outputs_S, axis=-1), labels_B
        inside_B = ops.clip(labels_B, 0, len(outputs_S) - 1)
        return scores_BC, ops.take(ops.convert_to_tensor(outputs_S), inside_B)


def _one_hot(labels_B: Tensor, scores_BS: Tensor) -> Tensor:
    numbers_S = ops.arange(scores_BS.shape[-1], dtype="int32")
    return ops.equal(labels_B[:, None], numbers_S)


def _all(values_BC: Tensor) -> Tensor:
    return ops.all(values_BC, axis=-1)


def _picked(values_BS: Tensor, chosen_BS: Tensor) -> Tensor:
    """Returns the value of the true class, `(batch, 1)`."""
    picked = ops.where(chosen_BS, values_BS, ops.zeros_like(values_BS))
    return ops.sum(picked, axis=-1, keepdims=True)


def _rank(scores_BS: Tensor, chosen_BS: Tensor) -> Tensor:
    """Returns how many classes stand before the true one."""
    true_B1 = _picked(scores_BS, chosen_BS)
    numbers_S = ops.arange(scores_BS.shape[-1], dtype="int32")
    chosen = ops.cast(chosen_BS, "int32")
    label_B1 = ops.sum(chosen * numbers_S, axis=-1, keepdims=True)
    tied_BS = ops.logical_and(
        ops.equal(scores_BS, true_B1), ops.less(numbers_S, label_B1)
    )
    before_BS = ops.logical_or(ops.greater(scores_BS, true_B1), tied_BS)
    return ops.sum(ops.cast(before_BS, "int32"), axis=-1)


def _look_like_probabilities(scores_BC: Tensor) -> Tensor:
    close_B = ops.abs(ops.sum(scores_BC, axis=-1) - 1) < _SUM_TOLERANCE
    return ops.logical_and(_all(scores_BC >= 0), close_B)


def _loss_of_probabilities(scores_BS: Tensor, chosen_BS: Tensor) -> Tensor:
    """Returns the cross-entropy as Keras has it: of what sums up to 1."""
    total_B1 = ops.sum(scores_BS, axis=-1, keepdims=True)
    shares_BS = ops.divide_no_nan(scores_BS, total_B1)
    p_B1 = _picked(shares_BS, chosen_BS)
    p_B1 = ops.clip(p_B1, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return -ops.log(p_B1)[:, 0]


def _loss_of_logits(scores_BS: Tensor, chosen_BS: Tensor) -> Tensor:
    log_p_BS = ops.log_softmax(scores_BS, axis=-1)
    return -_picked(log_p_BS, chosen_BS)[:, 0]
