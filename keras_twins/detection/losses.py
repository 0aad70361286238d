"""The losses of detectors: one value for each logit, row or mask.

Nothing is summed or averaged over candidates here, and nothing is weighted:
heads do that, as they know which candidates count. Values and gradients are
finite wherever the logits are, so a weight of 0 removes whatever it meets.
"""

from keras import ops

from keras_twins.ops import Tensor


def sigmoid_focal_loss(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Returns the focal loss of a detector that has a score for each class.

    Args:
        logits: Tensor of shape `(..., classes)`.
        labels: Integers of shape `(...)`; whatever is not from 0 to
            `classes - 1` is background, of which every score should be low.
        alpha: Weight of the class that is there; those that are not weigh
            `1 - alpha`.
        gamma: How strongly losses fall where the scores are right; at least
            0.

    Returns:
        Float32 tensor of shape `(..., classes)`.

    Reference:
        - [Focal Loss](https://arxiv.org/abs/1708.02002)

    Example:

    ```python
    logits = keras.random.normal((2, 5, 3))
    labels = numpy.array([[0, 2, 3, 3, 3], [1, 3, 3, 3, 3]])
    loss = keras.ops.sum(sigmoid_focal_loss(logits, labels))
    ```
    """
    logits = ops.cast(logits, "float32")
    present = _one_hot(labels, logits.shape[-1])
    # The larger, the better: log(p) is -softplus(-margin).
    margins = ops.where(present, logits, -logits)
    # (1 - p) ** gamma, whose gradient is finite at p = 1 for every gamma.
    focus = ops.exp(-gamma * ops.softplus(margins))
    weights = ops.where(present, alpha, 1.0 - alpha)
    return weights * focus * ops.softplus(-margins)


def softmax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the cross-entropy of classes that exclude each other.

    Args:
        logits: Tensor of shape `(..., classes)`; of boxes, the last class is
            the background.
        labels: Integers from 0 to `classes - 1` of shape `(...)`.

    Returns:
        Float32 tensor of shape `(...)`.
    """
    logits = ops.cast(logits, "float32")
    chosen = _chosen(logits, labels)
    return ops.logsumexp(logits, axis=-1) - chosen


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Returns the cross-entropy of yes or no.

    Args:
        logits: Tensor of any shape.
        targets: What the probabilities should be, from 0 to 1; of the same
            shape, and of any dtype.

    Returns:
        Float32 tensor of the same shape.
    """
    logits, targets = (ops.cast(x, "float32") for x in (logits, targets))
    yes, no = ops.softplus(-logits), ops.softplus(logits)
    return targets * yes + (1.0 - targets) * no


def l1_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Returns the absolute errors.

    Args:
        predictions: Tensor of any shape.
        targets: Tensor of the same shape.

    Returns:
        Float32 tensor of the same shape.
    """
    predictions, targets = (
        ops.cast(x, "float32") for x in (predictions, targets)
    )
    return ops.abs(predictions - targets)


def mask_cross_entropy(
    logits: Tensor, targets: Tensor, labels: Tensor
) -> Tensor:
    """Returns the mean cross-entropy of each mask's pixels.

    Only the mask of the region's own class counts: classes do not compete.

    Args:
        logits: Tensor of shape `(..., height, width, classes)`.
        targets: Masks of shape `(..., height, width)`, 0 or 1, or in between.
        labels: Integers from 0 to `classes - 1` of shape `(...)`. What is
            outside has no mask and no gradient.

    Returns:
        Float32 tensor of shape `(...)`.
    """
    logits = ops.cast(logits, "float32")
    labels = ops.expand_dims(labels, axis=(-2, -1))
    losses = binary_cross_entropy(_chosen(logits, labels), targets)
    return ops.mean(losses, axis=(-2, -1))


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    """Returns booleans of shape `(..., classes)`."""
    labels = ops.expand_dims(ops.cast(labels, "int32"), axis=-1)
    return ops.equal(labels, ops.arange(classes, dtype="int32"))


def _chosen(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the logit of each label; 0 where there is no such class."""
    # Its gradient is a selection as well, where that of a gather scatters.
    present = _one_hot(labels, logits.shape[-1])
    return ops.sum(ops.where(present, logits, 0.0), axis=-1)
