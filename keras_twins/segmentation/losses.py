"""The loss of segmentation: cross-entropy over labelled pixels.

Shape suffixes: B batch, H height, W width, C classes, N all pixels of all
images (B * H * W).
"""

from typing import Any

import keras
from keras import ops

from keras_twins.ops import Tensor
from keras_twins.segmentation.labels import is_ignored
from keras_twins.segmentation.labels import label_maps
from keras_twins.segmentation.labels import pixel_weights

_MEANS = ("valid", "all")
_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "none", None)


@keras.saving.register_keras_serializable(package="keras_twins")
class SegmentationCrossEntropy(keras.losses.Loss):
    """Cross-entropy of each pixel, without those of `ignore_class`.

    A label that is neither a class nor `ignore_class`, such as 0.5, makes the
    loss NaN: a compiled step cannot raise an error, and nobody should overlook
    it. Its pixel adds nothing to the gradients, so the weights stay finite.
    `check_labels` finds such labels before training.

    Args:
        ignore_class: Label of pixels that do not count; `None` if there are
            none.
        from_logits: Whether predictions are logits, not probabilities.
        mean_over: What the mean is taken over: the `"valid"` pixels of the
            batch, or `"all"`, ignored ones included, as mmsegmentation does
            by default. It matters for reductions to a mean only.
        label_smoothing: Share of each label that is spread evenly over all
            classes, from 0 to 1.
        reduction: `"sum_over_batch_size"` or `"mean"` for the mean, `"sum"`,
            or `"none"` for the loss of each pixel.
        name: Name of the loss.
        dtype: Dtype of the computation; `float32` if that is wider.

    Call arguments:
        y_true: Labels of shape `(batch, height, width)` or `(batch, height,
            width, 1)`.
        y_pred: Logits or probabilities of shape `(batch, height, width,
            classes)`.
        sample_weight: Weights of shape `(batch,)` or `(batch, height,
            width)`, or what broadcasts to the latter. They multiply the
            losses; the divisor of the mean stays the number of pixels. What
            weighs 0 may have any label.

    Call returns:
        The loss; 0 if all pixels are ignored.

    Example:

    ```python
    from keras_twins.segmentation import SegmentationCrossEntropy

    labels = numpy.array([[[0, 2, 255]]])
    logits = keras.random.normal((1, 1, 3, 4))
    loss = SegmentationCrossEntropy()(labels, logits)
    ```
    """

    def __init__(
        self,
        ignore_class: int | None = 255,
        from_logits: bool = True,
        mean_over: str = "valid",
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "segmentation_cross_entropy",
        dtype: str | keras.DTypePolicy | None = None,
    ):
        _check_arguments(mean_over, label_smoothing, reduction)
        super().__init__(name=name, reduction=reduction, dtype=_wide(dtype))
        self.ignore_class = ignore_class
        self.from_logits = from_logits
        self.mean_over = mean_over
        self.label_smoothing = label_smoothing

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        if sample_weight is not None:
            sample_weight = pixel_weights(sample_weight)
            y_true = self._excused(y_true, y_pred, sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the loss of each pixel, scaled for the mean.

        Args:
            y_true: Labels.
            y_pred: Logits or probabilities.

        Returns:
            Tensor of shape `(batch, height, width)`; 0 where ignored.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        labels_BHW = label_maps(y_true, y_pred)
        valid, wrong = self._valid_and_wrong(labels_BHW, y_pred.shape[-1])
        # Looked up where it does not matter what is found.
        known_BHW = ops.where(valid, labels_BHW, 0)
        losses_BHW = ops.where(valid, self._losses(known_BHW, y_pred), 0.0)
        # A constant: it shows in the loss and not in the gradients.
        losses_BHW = ops.where(wrong, float("nan"), losses_BHW)
        return losses_BHW * self._scale(valid, losses_BHW.dtype)

    def _excused(self, y_true: Any, y_pred: Any, weights: Tensor) -> Tensor:
        """Returns labels, 0 for those that are wrong and weigh nothing."""
        # NaN times 0 is NaN.
        y_true, y_pred = (ops.convert_to_tensor(y) for y in (y_true, y_pred))
        labels_BHW = label_maps(y_true, y_pred)
        _, wrong = self._valid_and_wrong(labels_BHW, y_pred.shape[-1])
        excused = ops.logical_and(wrong, ops.equal(weights, 0))
        return ops.where(excused, 0, labels_BHW)

    def _valid_and_wrong(
        self, labels_BHW: Tensor, classes: int
    ) -> tuple[Tensor, Tensor]:
        """Returns where labels count, and where they are nothing."""
        in_range = ops.logical_and(labels_BHW >= 0, labels_BHW < classes)
        ignored = is_ignored(labels_BHW, self.ignore_class)
        valid = ops.logical_and(in_range, ops.logical_not(ignored))
        return valid, ops.logical_not(ops.logical_or(in_range, ignored))

    def _losses(self, labels_BHW: Tensor, predicted_BHWC: Tensor) -> Tensor:
        # One matrix: kernels search along contiguous rows.
        classes = predicted_BHWC.shape[-1]
        predicted_NC = ops.reshape(predicted_BHWC, (-1, classes))
        losses_N = ops.sparse_categorical_crossentropy(
            ops.reshape(labels_BHW, (-1,)),
            predicted_NC,
            from_logits=self.from_logits,
        )
        if self.label_smoothing:
            share = self.label_smoothing
            even_N = _evenly(predicted_NC, self.from_logits)
            losses_N = (1.0 - share) * losses_N + share * even_N
        return ops.reshape(losses_N, ops.shape(labels_BHW))

    def _scale(self, valid: Tensor, dtype: str) -> Tensor | float:
        """Returns what makes the mean over all pixels that over valid ones."""
        mean = self.reduction in ("sum_over_batch_size", "mean")
        if self.mean_over == "all" or not mean:
            return 1.0
        pixels = ops.prod(ops.convert_to_tensor(ops.shape(valid), "int32"))
        count = ops.sum(ops.cast(valid, "int32"))
        return ops.cast(pixels, dtype) / ops.cast(ops.maximum(count, 1), dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "mean_over": self.mean_over,
            "label_smoothing": self.label_smoothing,
            "dtype": self.dtype,
        }


def _check_arguments(
    mean_over: str, label_smoothing: float, reduction: str | None
) -> None:
    if mean_over not in _MEANS:
        raise ValueError(
            f"`mean_over` must be one of {_MEANS}. Received: "
            f"mean_over={mean_over!r}"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            "`label_smoothing` must be from 0 to 1. Received: "
            f"label_smoothing={label_smoothing}"
        )
    if reduction not in _REDUCTIONS:
        raise ValueError(
            f"`reduction` must be one of {_REDUCTIONS}. Received: "
            f"reduction={reduction!r}"
        )


def _wide(dtype: str | keras.DTypePolicy | None) -> str:
    policy = keras.dtype_policies.get(dtype or keras.config.floatx())
    compute = policy.compute_dtype
    return "float32" if compute in ("float16", "bfloat16") else compute


def _evenly(predicted_NC: Tensor, from_logits: bool) -> Tensor:
    """Returns the mean over all classes of what each would cost."""
    if from_logits:
        mean_N = ops.mean(predicted_NC, axis=-1)
        return ops.logsumexp(predicted_NC, axis=-1) - mean_N
    lowest = keras.config.epsilon()
    return -ops.mean(ops.log(ops.clip(predicted_NC, lowest, 1.0)), axis=-1)
