"""Exact scores of a classifier, on every backend and any number of devices.

Shape suffixes: N all images of this process.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twins.training.evaluation.class_subsets import ClassMap
from keras_twins.training.evaluation.ranking import Ranker
from keras_twins.training.evaluation.scores import ClassificationScores
from keras_twins.training.strategies import Distribution
from keras_twins.training.strategies import SingleDevice

_TOP = 5


class ClassificationEvaluator:
    """Scores one classifier, again and again.

    What it compiles is kept, so that one evaluator serves all epochs of a
    training. The weights are read anew each time.

    Keras's `evaluate` counts one batch too many on TensorFlow where all
    batches have one static size, and averages the averages of batches; here,
    `predict` gives the rank of the true class of each image, and these are
    counted as whole numbers. Scores of all classes are never kept: a few
    numbers remain of each image.

    Equal scores are ranked by the number of their class, as `argmax` ranks
    them: a model that gives all classes one score is right about the first
    class alone. A model in half precision has many equal scores; a float32
    dtype for its last layer avoids them.

    Args:
        model: Model from images to scores of shape `(batch, classes)`, logits
            or probabilities; it need not be compiled.
        num_classes: Number of classes of the data set.
        distribution: Where the model was built; by default, one device.
        class_map: Which output of the model stands for each label, where
            they are not the same.
        from_logits: Whether the scores are logits; by default, they are
            probabilities if those of every image look like it. Only the loss
            depends on it.

    Raises:
        ValueError: If `class_map` has another number of classes than the data
            set.

    Example:

    ```python
    import tensorflow as tf
    from keras_twins.training.evaluation import ClassificationEvaluator

    model = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    batches = tf.data.Dataset.from_tensors(
        {
            "images": numpy.zeros((2, 4, 4, 3), "float32"),
            "labels": numpy.array([1, 0], "int32"),
            # The second is padding.
            "valid": numpy.array([True, False]),
        }
    )
    scores = ClassificationEvaluator(model, num_classes=3).evaluate(batches)
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        num_classes: int,
        distribution: Distribution | None = None,
        class_map: ClassMap | None = None,
        from_logits: bool | None = None,
    ):
        if class_map and len(class_map.outputs) != num_classes:
            raise ValueError(
                f"`class_map` must have an entry for each of the {num_classes} "
                f"classes. Received: {len(class_map.outputs)} entries"
            )
        self._distribution = distribution or SingleDevice()
        self._num_labels = num_classes
        self._num_scored = class_map.num_classes if class_map else num_classes
        self._from_logits = from_logits
        with self._distribution.scope():
            self._ranker = Ranker(model, num_classes, class_map)

    def evaluate(self, batches: Any) -> ClassificationScores:
        """Scores every valid image once.

        Args:
            batches: Finite `tf.data.Dataset` of this process's batches, all of
                one size: dictionaries with `"images"` as the model takes
                them, `"labels"` of shape `(batch,)` and `"valid"`, of shape
                `(batch,)`, which is False for padding.

        Returns:
            The scores, over all processes.

        Raises:
            ValueError: If there is no image, a label is out of range, or
                scores of the model are not finite.
        """
        with self._distribution.scope():
            rows = self._distribution.predict(self._ranker, batches)
        rows = {key: np.asarray(value) for key, value in rows.items()}
        valid_N = rows.pop("valid").astype(bool)
        rows = {key: value[valid_N] for key, value in rows.items()}
        loss_sum = self._loss_sum(rows)
        faults = self._faults(rows)
        counts = self._counts(rows)
        # Every process learns of errors in any, and none waits for ever.
        *sums, faults = self._distribution.sum_arrays(
            [*counts, loss_sum, faults]
        )
        self._check(int(sums[0].sum()), faults)
        loss = sums[2][0] if self._all_probabilities(faults) else sums[2][1]
        return ClassificationScores(sums[0], sums[1], float(loss))

    def _faults(self, rows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns numbers of wrong labels, broken scores and plain scores."""
        labels_N = rows["label"]
        wrong_N = (labels_N < 0) | (labels_N >= self._num_labels)
        plain_N = rows["probabilities"] < 0.5
        broken_N = rows["finite"] < 0.5
        counts = [np.count_nonzero(x) for x in (wrong_N, broken_N, plain_N)]
        return np.array(counts, "int64")

    def _counts(
        self, rows: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the confusion matrix and the hits among the best five."""
        classes = self._num_scored
        # Wrong labels are refused once all processes know of them.
        true_N = np.clip(rows["target"], 0, classes - 1).astype("int64")
        pairs_N = true_N * classes + rows["predicted"]
        confusion = np.bincount(pairs_N, minlength=classes**2)
        hits = np.bincount(true_N[rows["rank"] < _TOP], minlength=classes)
        shape = (classes, classes)
        return confusion.reshape(shape).astype("int64"), hits.astype("int64")

    def _loss_sum(self, rows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns both sums: of what may be probabilities, and of logits."""
        names = ("loss_of_probabilities", "loss_of_logits")
        return np.array([rows[name].sum(dtype="float64") for name in names])

    def _all_probabilities(self, faults: np.ndarray) -> bool:
        if self._from_logits is not None:
            return not self._from_logits
        return not faults[2]

    def _check(self, images: int, faults: np.ndarray) -> None:
        if not images:
            raise ValueError(
                "`batches` must have at least one image that is valid. "
                "Received: none"
            )
        if faults[0]:
            raise ValueError(
                f"`labels` must be from 0 to {self._num_labels - 1}. "
                f"Received: {faults[0]} of {images} that are not"
            )
        if faults[1]:
            raise ValueError(
                "The scores of the model must be finite. Received: NaN or "
                f"infinity for {faults[1]} of {images} images. Check its "
                "weights (a training that diverged leaves NaN in them) and "
                "its dtype (float16 ends at 65504)."
            )


def evaluate_classification(
    model: keras.Model,
    batches: Any,
    num_classes: int,
    distribution: Distribution | None = None,
    class_map: ClassMap | None = None,
) -> ClassificationScores:
    """Scores a classifier once; see `ClassificationEvaluator`.

    Args:
        model: Model from images to scores of shape `(batch, classes)`.
        batches: Finite `tf.data.Dataset` of dictionaries with `"images"`,
            `"labels"` and `"valid"`.
        num_classes: Number of classes of the data set.
        distribution: Where the model was built; by default, one device.
        class_map: Which output of the model stands for each label.

    Returns:
        The scores, over all processes.
    """
    evaluator = ClassificationEvaluator(
        model, num_classes, distribution, class_map
    )
    return evaluator.evaluate(batches)
