"""Scores of a detector on a data set, after training and during it."""

import warnings
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_twins.detection.evaluation import CocoEvaluator

_INPUTS = ("images", "image_sizes", "original_sizes")


def evaluate_detection(
    model: keras.Model,
    batches: Iterable[Mapping[str, Any]],
    ground_truth: Sequence[Any],
    num_classes: int | None = None,
    names: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    verbose: int = 1,
) -> dict[str, Any]:
    """Returns COCO's average precision of a detector on a data set.

    Every shape of `images` is compiled once on JAX and under TensorFlow;
    batches that are smaller than the first are filled up for that, with
    copies that do not count.

    Args:
        model: The detector.
        batches: Batches, with `images`, `image_ids` and, where the images
            were resized or padded, `image_sizes` and `original_sizes`; other
            keys do not count. A `keras.utils.PyDataset` is taken as well.
        ground_truth: What there is to detect in every image; see
            `CocoEvaluator`.
        num_classes: Number of classes; by default, the model's.
        names: Name of each class; by default, `"class 0"` and so on.
        kinds: What is compared: `"bbox"`, `"segm"` for masks, or both; by
            default, what the model returns.
        verbose: Whether a progress bar is shown.

    Returns:
        The scores, from 0 to 1; see `CocoEvaluator.result`.

    Raises:
        ImportError: If pycocotools is missing.
        ValueError: If a batch or the ground truth is not as above.

    Example:

    ```python
    from keras_twins.detection import GroundTruth
    from keras_twins.detection import RetinaNet
    from keras_twins.detection import evaluate_detection

    model = RetinaNet.from_twins("svt_small", weights=None, num_classes=3)
    boxes = numpy.array([[8, 8, 40, 32]])
    truth = GroundTruth(7, (64, 96), boxes, labels=numpy.array([2]))
    batch = {"images": numpy.zeros((1, 64, 96, 3)), "image_ids": [7]}
    precision = evaluate_detection(model, [batch], [truth])["box_AP"]
    ```
    """
    classes = num_classes or getattr(model, "num_classes", None)
    if classes is None:
        raise ValueError(
            "`num_classes` must be given, as the model does not tell. "
            f"Received: model={model.name}"
        )
    evaluator = None
    bar, size = keras.utils.Progbar(_length(batches), verbose=verbose), None
    for batch in _each(batches):
        inputs, ids = _inputs_and_ids(batch)
        size = size or len(ids)
        predictions = model.predict_on_batch(_filled(inputs, len(ids), size))
        predictions = {k: v[: len(ids)] for k, v in predictions.items()}
        if evaluator is None:
            kinds = kinds or _kinds(predictions)
            evaluator = CocoEvaluator(ground_truth, classes, names, kinds)
        evaluator.check_sizes(ids, _sizes(inputs))
        evaluator.update(ids, predictions)
        bar.add(1)
    if evaluator is None:
        raise ValueError("`batches` must not be empty. Received: no batch")
    if evaluator.missing:
        warnings.warn(
            f"{len(evaluator.missing)} of {len(ground_truth)} images came in "
            "no batch; their objects count as missed.",
            stacklevel=2,
        )
    return evaluator.result()


class CocoCallback(keras.callbacks.Callback):
    """Evaluates a detector after epochs of its training.

    It adds `val_box_AP`, `val_box_AP50` and the like to the logs, and
    `val_mask_AP` and the like where there are masks. Callbacks that read
    them, such as `ModelCheckpoint(monitor="val_box_AP", mode="max")`, come
    behind it in the list.

    Args:
        batches: Batches; see `evaluate_detection`. They are gone through
            anew each time.
        ground_truth: What there is to detect in every image; see
            `CocoEvaluator`.
        names: Name of each class.
        kinds: What is compared; see `evaluate_detection`.
        every: Number of epochs from one evaluation to the next.
        verbose: Whether a progress bar is shown.

    Raises:
        ValueError: If `every` is not positive, or `batches` can be gone
            through only once.

    Example:

    ```python
    from keras_twins.detection import CocoCallback
    from keras_twins.detection import GroundTruth

    boxes = numpy.array([[8, 8, 40, 32]])
    truth = GroundTruth(7, (64, 96), boxes, labels=numpy.array([2]))
    batch = {"images": numpy.zeros((1, 64, 96, 3)), "image_ids": [7]}
    callbacks = [CocoCallback([batch], [truth], every=2)]
    ```
    """

    def __init__(
        self,
        batches: Iterable[Mapping[str, Any]],
        ground_truth: Sequence[Any],
        names: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        every: int = 1,
        verbose: int = 0,
    ):
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be positive. Received: {every=}")
        if isinstance(batches, Iterator):
            raise ValueError(
                "`batches` must be something to go through again, such as a "
                "list or a data set. Received: "
                f"{type(batches).__name__}, which ends after one epoch"
            )
        self.batches = batches
        self.ground_truth = ground_truth
        self.names = names
        self.kinds = kinds
        self.every = every
        self.verbose = verbose
        self.result: dict[str, Any] = {}

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Evaluates, and adds the scores to the logs."""
        if (epoch + 1) % self.every:
            return
        self.result = evaluate_detection(
            self.model,
            self.batches,
            self.ground_truth,
            names=self.names,
            kinds=self.kinds,
            verbose=self.verbose,
        )
        if logs is not None:
            for name, value in self.result.items():
                if not isinstance(value, dict):
                    logs[f"val_{name}"] = value


def _each(batches: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(batches, keras.utils.PyDataset):
        # Iterating over it does not end.
        yield from (batches[i] for i in range(_length(batches) or 0))
    else:
        yield from batches


def _length(batches: Any) -> int | None:
    if isinstance(batches, keras.utils.PyDataset):
        return batches.num_batches
    try:
        return len(batches)
    # Data sets of TensorFlow know their length, or raise an error.
    except TypeError:
        return None


def _inputs_and_ids(
    batch: Mapping[str, Any],
) -> tuple[dict[str, np.ndarray], Sequence[Any]]:
    if not isinstance(batch, Mapping) or not {"images", "image_ids"} <= set(
        batch
    ):
        kind = type(batch).__name__
        keys = sorted(batch) if isinstance(batch, Mapping) else []
        raise ValueError(
            "A batch must be a dictionary with 'images' and 'image_ids'. "
            f"Received: {kind} with keys {keys}"
        )
    inputs = {
        key: np.asarray(keras.ops.convert_to_numpy(batch[key]))
        for key in _INPUTS
        if key in batch
    }
    return inputs, list(batch["image_ids"])


def _sizes(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the sizes of the images that predictions refer to."""
    for key in ("original_sizes", "image_sizes"):
        if key in inputs:
            return inputs[key]
    return np.tile(inputs["images"].shape[1:3], (len(inputs["images"]), 1))


def _filled(
    inputs: dict[str, np.ndarray], count: int, size: int
) -> dict[str, np.ndarray]:
    """Returns a batch of at least the size of the first one."""
    if count >= size:
        return inputs
    rows = np.resize(np.arange(count), size)
    return {key: value[rows] for key, value in inputs.items()}


def _kinds(predictions: Mapping[str, Any]) -> tuple[str, ...]:
    return ("bbox", "segm") if "masks" in predictions else ("bbox",)
