"""How far a student's answers are from those of its teacher.

Shape suffixes: B batch, C classes.
"""

from typing import Any
from typing import Literal

import keras
from keras import ops

from keras_twins.ops import Tensor

Distillation = Literal["hard", "soft"]


@keras.saving.register_keras_serializable(package="keras_twins")
class DistillationLoss(keras.losses.Loss):
    """How far a student's answers are from those of its teacher.

    `"hard"` is the cross-entropy with the teacher's best class. `"soft"` is
    `tau**2` times the Kullback-Leibler divergence from the teacher's
    probabilities to the student's, both softened by the temperature `tau`.
    Both are means over the images, as in the paper; DeiT's code divides the
    soft one by the number of classes as well.

    Args:
        kind: `"hard"` or `"soft"`.
        tau: Temperature of `"soft"`.
        name: Name of the loss.
        **kwargs: Keywords of `keras.losses.Loss`.

    Call arguments:
        y_true: Logits of the teacher, of shape `(batch, classes)`.
        y_pred: Logits of the student, of the same shape.

    Raises:
        ValueError: If `kind` is unknown, or `tau` is not positive.

    Reference:
        - [DeiT](https://arxiv.org/abs/2012.12877), Section 4
    """

    def __init__(
        self,
        kind: Distillation = "hard",
        tau: float = 1.0,
        name: str = "distillation",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        if kind not in ("hard", "soft"):
            raise ValueError(
                f"`kind` must be 'hard' or 'soft'. Received: {kind=}"
            )
        if tau <= 0:
            raise ValueError(f"`tau` must be positive. Received: {tau=}")
        self.kind = kind
        self.tau = tau

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the loss of each image, of shape `(batch,)`."""
        if self.kind == "hard":
            best_B = ops.argmax(y_true, axis=-1)
            return ops.sparse_categorical_crossentropy(
                best_B, y_pred, from_logits=True
            )
        log_teacher_BC = ops.log_softmax(y_true / self.tau, axis=-1)
        log_student_BC = ops.log_softmax(y_pred / self.tau, axis=-1)
        gap_BC = log_teacher_BC - log_student_BC
        return self.tau**2 * ops.sum(ops.exp(log_teacher_BC) * gap_BC, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "kind": self.kind, "tau": self.tau}
