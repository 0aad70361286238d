"""Training a student on the answers of a teacher.

Shape suffixes: B batch, C classes.
"""

import os
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_twins.ops import Tensor
from keras_twins.training.distillation_loss import Distillation
from keras_twins.training.distillation_loss import DistillationLoss

# Logarithms of smaller probabilities would be infinite.
_LEAST_PROBABILITY = 1e-7


class DistilledModel(keras.Model):
    """A classifier that learns from labels and from a teacher.

    `fit` minimises `(1 - alpha) * loss + alpha * distillation`, where `loss`
    is that of `compile` (its targets may be mixed) and the other is a
    `DistillationLoss`. Everything else is the student's: its layers are
    shared, `evaluate` and `predict` leave the teacher out, saving writes the
    student, and `variables` do not count the teacher's.

    The teacher is frozen (`trainable = False`) and runs as in inference, on
    the student's images of the same step, augmented as they are.

    Args:
        student: Model from images to scores of shape `(batch, classes)`.
        teacher: Model from images to scores of the same shape.
        kind: `"hard"` or `"soft"`.
        alpha: Share of the distillation in the loss, from 0 to 1.
        tau: Temperature of `"soft"`.
        prepare: From the student's images to what the teacher takes: a layer
            such as `keras.layers.Resizing`, or a function of a tensor; by
            default, the same images.
        student_logits: Whether the student's scores are logits; by default,
            its last layer is looked at.
        teacher_logits: The same for the teacher.
        name: Name of the model; by default, that of the student.

    Raises:
        ValueError: If the classes differ, `alpha` is out of range, or a last
            layer does not say what its scores are.

    Reference:
        - [DeiT](https://arxiv.org/abs/2012.12877), Section 4

    Example:

    ```python
    from keras_twins.training import DistilledModel

    def small(width):
        layers = [keras.layers.Flatten(), keras.layers.Dense(width)]
        head = keras.layers.Dense(3, activation="softmax")
        return keras.Sequential([keras.Input((4, 4, 3)), *layers, head])

    student = small(4)
    model = DistilledModel(student, teacher=small(16), kind="soft", tau=3.0)
    model.compile("adamw", keras.losses.CategoricalCrossentropy())
    model.fit(numpy.zeros((2, 4, 4, 3)), numpy.eye(3)[:2], verbose=0)
    student.save("student.keras")
    ```
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        kind: Distillation = "hard",
        alpha: float = 0.5,
        tau: float = 1.0,
        prepare: Callable[[Tensor], Tensor] | None = None,
        student_logits: bool | None = None,
        teacher_logits: bool | None = None,
        name: str | None = None,
    ):
        if not 0 <= alpha <= 1:
            raise ValueError(f"`alpha` must be from 0 to 1. Received: {alpha=}")
        # The student casts its inputs itself; the teacher gets them whole.
        super().__init__(
            name=name or student.name,
            dtype=student.dtype_policy,
            autocast=False,
        )
        teacher.trainable = False
        self.student = student
        self.alpha = alpha
        self.distillation_loss = DistillationLoss(kind, tau)
        # Behind a function: as an attribute, Keras would count its weights
        # and save them.
        self._get_teacher = lambda: (teacher, prepare)
        self._student_logits = _gives_logits(student, student_logits, "student")
        self._teacher_logits = _gives_logits(teacher, teacher_logits, "teacher")
        _check_classes(student, teacher)
        self.built = student.built

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Returns the student's scores."""
        return self.student(inputs, training=training)

    def build(self, input_shape: Any) -> None:
        """Builds the student."""
        if not self.student.built:
            self.student.build(input_shape)
        self.built = True

    @property
    def teacher(self) -> keras.Model:
        """The teacher."""
        return self._get_teacher()[0]

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        """The student's, and all of the teacher's.

        Compiled steps on JAX take them as arguments; elsewhere a program
        would hold a copy of the teacher.
        """
        teacher, prepare = self._get_teacher()
        layers: list[Any] = [teacher]
        if isinstance(prepare, keras.layers.Layer):
            layers.append(prepare)
        own = list(super().non_trainable_variables)
        return own + [v for layer in layers for v in layer.variables]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Returns the loss of a training step, or the student's own.

        Args:
            x: Images.
            y: Targets of the student.
            y_pred: Scores of the student.
            sample_weight: Weights of the images, of both losses.
            training: Whether the teacher takes part.

        Returns:
            A scalar.
        """
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return loss
        others = sum(map(ops.sum, self.losses))
        distillation = self.distillation_loss(
            self._teacher_scores(x),
            _as_logits(y_pred, self._student_logits),
            sample_weight=sample_weight,
        )
        # Regularization of the student is left as it is.
        return (
            (1 - self.alpha) * (loss - others)
            + self.alpha * distillation
            + others
        )

    def save(self, filepath: str | os.PathLike[str], **kwargs: Any) -> None:
        """Saves the student, without the teacher.

        Args:
            filepath: The file.
            **kwargs: Keywords of `keras.Model.save`.
        """
        self.student.save(filepath, **kwargs)

    def save_weights(
        self, filepath: str | os.PathLike[str], **kwargs: Any
    ) -> None:
        """Saves the student's weights.

        Args:
            filepath: The file.
            **kwargs: Keywords of `keras.Model.save_weights`.
        """
        self.student.save_weights(filepath, **kwargs)

    def load_weights(
        self, filepath: str | os.PathLike[str], **kwargs: Any
    ) -> None:
        """Loads weights of the student.

        Args:
            filepath: The file.
            **kwargs: Keywords of `keras.Model.load_weights`.
        """
        self.student.load_weights(filepath, **kwargs)

    def _teacher_scores(self, images: Tensor) -> Tensor:
        teacher, prepare = self._get_teacher()
        seen = images if prepare is None else prepare(images)
        scores_BC = _as_logits(
            teacher(seen, training=False), self._teacher_logits
        )
        return ops.stop_gradient(scores_BC)


def _as_logits(scores_BC: Tensor, are_logits: bool) -> Tensor:
    """Returns logits in float32; those of probabilities are logarithms."""
    scores_BC = ops.cast(scores_BC, "float32")
    if are_logits:
        return scores_BC
    return ops.log(ops.clip(scores_BC, _LEAST_PROBABILITY, 1.0))


def _gives_logits(model: keras.Model, known: bool | None, who: str) -> bool:
    """Returns whether a model ends without a softmax."""
    if known is not None:
        return known
    activation = _last_activation(model)
    names = {keras.activations.softmax: False, keras.activations.linear: True}
    if activation not in names:
        raise ValueError(
            f"Whether the {who}'s scores are logits does not follow from its "
            f"last layer. Pass `{who}_logits`. Received: model={model.name}, "
            f"activation={activation}"
        )
    return names[activation]


def _last_activation(layer: Any) -> Callable[[Tensor], Tensor] | None:
    """Returns the activation of the last layer, if it is known."""
    if isinstance(layer, DistilledModel):
        return _last_activation(layer.student)
    if isinstance(layer, keras.Model):
        outputs = layer.outputs if hasattr(layer, "outputs") else None
        if not outputs or len(outputs) != 1:
            return None
        return _last_activation(outputs[0]._keras_history.operation)
    if isinstance(layer, keras.layers.Softmax):
        return keras.activations.softmax
    activation = getattr(layer, "activation", None)
    casts = isinstance(layer, keras.layers.Activation)
    # One that only casts says nothing about what comes before it.
    is_cast = casts and activation is keras.activations.linear
    return None if is_cast else activation


def _check_classes(student: keras.Model, teacher: keras.Model) -> None:
    shapes = [getattr(x, "output_shape", (None,)) for x in (student, teacher)]
    classes = {shape[-1] for shape in shapes} - {None}
    if len(classes) > 1:
        raise ValueError(
            "Student and teacher must tell the same classes apart. Received: "
            f"outputs of shape {shapes[0]} and {shapes[1]}"
        )
