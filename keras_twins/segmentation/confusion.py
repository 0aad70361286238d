"""The confusion matrix that all metrics of segmentation are read from.

Shape suffixes: C classes.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twins.ops import Tensor
from keras_twins.ops.counting import best_class
from keras_twins.ops.counting import count_pairs
from keras_twins.ops.tensors import read
from keras_twins.segmentation.labels import is_ignored
from keras_twins.segmentation.labels import label_maps
from keras_twins.segmentation.labels import pixel_weights

# Counts are `high * _BASE + low`: JAX has no 64-bit integers by default. Low
# parts stay small enough for the sum over 2047 replicas.
_BASE = 2**20


class ConfusionMetric(keras.metrics.Metric):
    """A metric that is read from the confusion matrix of all pixels.

    Abstract: `MeanIoU`, `MeanAccuracy`, `PixelAccuracy` and
    `SegmentationMetrics` say what is read. Pixels are counted in integers, so
    that no count loses ones, however many there are (up to `2**51`).

    A label that is neither a class nor `ignore_class`, such as 0.5, makes the
    result NaN, since a compiled step cannot raise an error;
    `confusion_matrix` does.

    Args:
        num_classes: Number of classes.
        ignore_class: Label of pixels that do not count; `None` if there are
            none.
        name: Name of the metric.
        dtype: Dtype of the result; `float32` if that is wider.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = 255,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if num_classes < 2:
            raise ValueError(
                "`num_classes` must be at least 2. Received: "
                f"num_classes={num_classes}"
            )
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        # One more for the pixels whose label or prediction is no class.
        shape = (num_classes**2 + 1,)
        self._low = self._counts(shape, "low")
        self._high = self._counts(shape, "high")

    def update_state(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Counts the pixels of a batch.

        Args:
            y_true: Labels of shape `(batch, height, width)` or `(batch,
                height, width, 1)`.
            y_pred: Logits or probabilities of shape `(batch, height, width,
                num_classes)`, or predicted labels of shape `(batch, height,
                width)`, which must be integers.
            sample_weight: Which pixels take part, of shape `(batch,)` or one
                that broadcasts to `(batch, height, width)`: 0 leaves out; all
                other values count once, since pixels are counted whole.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        y_true, y_pred = (ops.convert_to_tensor(y) for y in (y_true, y_pred))
        predicted = self._predicted(y_pred)
        labels = label_maps(y_true, predicted[..., None])
        counted = ops.logical_not(is_ignored(labels, self.ignore_class))
        if sample_weight is not None:
            weighs = ops.not_equal(pixel_weights(sample_weight), 0)
            weighs = ops.broadcast_to(weighs, ops.shape(labels))
            counted = ops.logical_and(counted, weighs)
        self._add(count_pairs(labels, predicted, self.num_classes, counted))

    def confusion_matrix(self) -> np.ndarray:
        """Returns how many pixels of each class were taken for each other.

        Returns:
            Array of shape `(num_classes, num_classes)`, int64: rows are true
            classes, columns predicted ones.

        Raises:
            ValueError: If there were labels or predictions that are neither
                classes nor `ignore_class`.
        """
        counts = _exact(self._low) + _exact(self._high) * _BASE
        if counts[-1]:
            raise ValueError(
                "The metric counts classes from 0 to "
                f"{self.num_classes - 1} and leaves out pixels of label "
                f"{self.ignore_class}. Received: {counts[-1]} pixels with "
                "other labels or predictions. Find them with `check_labels`."
            )
        return counts[:-1].reshape(self.num_classes, self.num_classes)

    def class_iou(self) -> np.ndarray:
        """Returns the intersection over union of each class.

        Returns:
            Array of shape `(num_classes,)`, float64; NaN for classes that
            occur in neither labels nor predictions.
        """
        matrix = self.confusion_matrix()
        hits = np.diagonal(matrix)
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - hits
        return np.where(union > 0, hits / np.maximum(union, 1), np.nan)

    def class_accuracy(self) -> np.ndarray:
        """Returns the share of each class's pixels that are found.

        Returns:
            Array of shape `(num_classes,)`, float64; NaN for classes that
            occur in no label.
        """
        matrix = self.confusion_matrix()
        pixels = matrix.sum(axis=1)
        hits = np.diagonal(matrix)
        return np.where(pixels > 0, hits / np.maximum(pixels, 1), np.nan)

    def merge_state(self, metrics: Iterable["ConfusionMetric"]) -> None:
        """Adds what other metrics counted.

        Args:
            metrics: Metrics of as many classes.

        Raises:
            ValueError: If a metric has another number of classes.
        """
        for metric in metrics:
            if metric.num_classes != self.num_classes:
                raise ValueError(
                    "`metrics` must have the same number of classes. "
                    f"Received: {metric.num_classes} classes, expected "
                    f"{self.num_classes}"
                )
            # Read first: a metric may be added to itself.
            low, high = read(metric._low), read(metric._high)
            self._add(low)
            self._high.assign(self._high + high)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
        }

    def _counts(self, shape: tuple[int], name: str) -> keras.Variable:
        return self.add_variable(shape, "zeros", dtype="int32", name=name)

    def _predicted(self, y_pred: Tensor) -> Tensor:
        """Returns predicted labels of shape `(batch, height, width)`."""
        dtype = keras.backend.standardize_dtype(y_pred.dtype)
        if len(y_pred.shape) == 3 and "int" in dtype:
            return y_pred
        if len(y_pred.shape) != 4 or y_pred.shape[-1] != self.num_classes:
            raise ValueError(
                "Predictions must have the shape (batch, height, width, "
                f"{self.num_classes}), or be integer labels of shape (batch, "
                f"height, width). Received: shape={tuple(y_pred.shape)}, "
                f"dtype={dtype}"
            )
        return best_class(y_pred)

    def _add(self, counts: Tensor) -> None:
        low = self._low + counts
        carry = low // _BASE
        self._low.assign(low - carry * _BASE)
        self._high.assign(self._high + carry)

    def scores(self) -> dict[str, Tensor]:
        """Returns the results of all metrics.

        Returns:
            Scalars by name: `"mean_iou"`, `"mean_accuracy"` and
            `"pixel_accuracy"`.
        """
        wide = keras.backend.result_type(self.dtype, "float32")
        low, high = (ops.cast(v, wide) for v in (self._low, self._high))
        counts = high * float(_BASE) + low
        shape = (self.num_classes, self.num_classes)
        matrix_CC = ops.reshape(counts[:-1], shape)
        hits_C = ops.diagonal(matrix_CC)
        pixels_C = ops.sum(matrix_CC, axis=1)
        union_C = ops.sum(matrix_CC, axis=0) + pixels_C - hits_C
        scores = {
            "mean_iou": _mean_ratio(hits_C, union_C),
            "mean_accuracy": _mean_ratio(hits_C, pixels_C),
            "pixel_accuracy": ops.divide_no_nan(
                ops.sum(hits_C), ops.sum(pixels_C)
            ),
        }
        wrong = counts[-1] > 0
        return {
            name: ops.where(wrong, float("nan"), score)
            for name, score in scores.items()
        }


def _exact(variable: keras.Variable) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(variable), dtype="int64")


def _mean_ratio(hits_C: Tensor, total_C: Tensor) -> Tensor:
    """Returns the mean of the ratios whose divisor is not 0."""
    occurs_C = ops.cast(total_C > 0, total_C.dtype)
    ratio_C = ops.divide_no_nan(hits_C, total_C)
    return ops.divide_no_nan(ops.sum(ratio_C), ops.sum(occurs_C))
