"""Metrics of segmentation, all read from one confusion matrix."""

import keras

from keras_twins.ops import Tensor
from keras_twins.segmentation.confusion import ConfusionMetric


@keras.saving.register_keras_serializable(package="keras_twins")
class MeanIoU(ConfusionMetric):
    """Intersection over union, averaged over the classes that occur.

    Classes that occur in neither labels nor predictions are left out of the
    mean, as in mmsegmentation. Without any pixel, the result is 0.

    Args:
        num_classes: Number of classes.
        ignore_class: Label of pixels that do not count; `None` if there are
            none.
        name: Name of the metric.
        dtype: Dtype of the result; `float32` if that is wider.

    Example:

    ```python
    from keras_twins.segmentation import MeanIoU

    metric = MeanIoU(num_classes=4)
    labels = numpy.array([[[0, 2, 255]]])
    metric.update_state(labels, keras.random.normal((1, 1, 3, 4)))
    score = metric.result()
    ```
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = 255,
        name: str = "mean_iou",
        dtype: str | keras.DTypePolicy | None = None,
    ):
        super().__init__(num_classes, ignore_class, name, dtype)

    def result(self) -> Tensor:
        """Returns the mean intersection over union."""
        return self.scores()["mean_iou"]


@keras.saving.register_keras_serializable(package="keras_twins")
class MeanAccuracy(ConfusionMetric):
    """Share of each class's pixels that are found, averaged over classes.

    Classes that occur in no label are left out of the mean, as in
    mmsegmentation. Without any pixel, the result is 0.

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
        name: str = "mean_accuracy",
        dtype: str | keras.DTypePolicy | None = None,
    ):
        super().__init__(num_classes, ignore_class, name, dtype)

    def result(self) -> Tensor:
        """Returns the mean accuracy of the classes."""
        return self.scores()["mean_accuracy"]


@keras.saving.register_keras_serializable(package="keras_twins")
class PixelAccuracy(ConfusionMetric):
    """Share of all pixels whose class is found.

    Without any pixel, the result is 0.

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
        name: str = "pixel_accuracy",
        dtype: str | keras.DTypePolicy | None = None,
    ):
        super().__init__(num_classes, ignore_class, name, dtype)

    def result(self) -> Tensor:
        """Returns the accuracy of the pixels."""
        return self.scores()["pixel_accuracy"]


@keras.saving.register_keras_serializable(package="keras_twins")
class SegmentationMetrics(ConfusionMetric):
    """Mean IoU, mean accuracy and pixel accuracy, counted once.

    The result is a dictionary with the keys `"mean_iou"`, `"mean_accuracy"`
    and `"pixel_accuracy"`, which `fit` and `evaluate` show each.

    Args:
        num_classes: Number of classes.
        ignore_class: Label of pixels that do not count; `None` if there are
            none.
        name: Name of the metric.
        dtype: Dtype of the result; `float32` if that is wider.

    Example:

    ```python
    from keras_twins.segmentation import SegmentationMetrics

    model = keras.Sequential([keras.layers.Conv2D(4, 1)])
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[SegmentationMetrics(num_classes=4)],
    )
    ```
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = 255,
        name: str = "segmentation_metrics",
        dtype: str | keras.DTypePolicy | None = None,
    ):
        super().__init__(num_classes, ignore_class, name, dtype)

    def result(self) -> dict[str, Tensor]:
        """Returns all three results."""
        return self.scores()
