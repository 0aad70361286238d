"""What scores are: logits or probabilities, and the labels they stand for.

Shape suffixes: H height, W width, C classes.
"""

import numpy as np

from keras_twins.bilinear import resized_rows


def are_probabilities(scores_HWC: np.ndarray) -> bool:
    """Returns whether scores look like probabilities, in their first row.

    Args:
        scores_HWC: Scores of shape `(height, width, classes)`.

    Returns:
        Whether none is negative and those of a pixel sum to 1.
    """
    first_WC = scores_HWC[0]
    sums = first_WC.sum(axis=-1)
    return bool(first_WC.min() >= 0 and np.allclose(sums, 1, atol=1e-2))


def check_kind(scores_HWC: np.ndarray, from_logits: bool | None) -> None:
    """Raises an error if scores are not what they are said to be.

    Args:
        scores_HWC: Scores of shape `(height, width, classes)`.
        from_logits: Whether they are logits; `None` says nothing.

    Raises:
        ValueError: If they look like the other kind.
    """
    if from_logits is None:
        return
    looks = are_probabilities(scores_HWC)
    if looks == from_logits:
        received = "probabilities" if looks else "other scores"
        raise ValueError(
            f"`from_logits={from_logits}` does not fit the model. Received: "
            f"{received}. Pass `from_logits={not from_logits}`."
        )


def check_finite(scores: np.ndarray) -> None:
    """Raises an error if a score is NaN or infinite.

    Args:
        scores: Scores of any shape.

    Raises:
        ValueError: If one is.
    """
    # The extremes show it without a map of booleans.
    with np.errstate(invalid="ignore"):
        extremes = scores.min(), scores.max()
    if np.isfinite(extremes).all():
        return
    wrong = np.count_nonzero(~np.isfinite(scores))
    raise ValueError(
        f"The scores of the model must be finite. Received: {wrong} of "
        f"{scores.size} that are NaN or infinite. Check its weights (a "
        "training that diverged leaves NaN in them), its dtype (float16 ends "
        "at 65504; load the model in float32), and that pixels are as it "
        "takes them."
    )


def softmax(scores_HWC: np.ndarray) -> np.ndarray:
    """Returns probabilities.

    Args:
        scores_HWC: Logits of shape `(height, width, classes)`.

    Returns:
        Array of the same shape.
    """
    p_HWC = scores_HWC - scores_HWC.max(axis=-1, keepdims=True)
    np.exp(p_HWC, out=p_HWC)
    p_HWC /= p_HWC.sum(axis=-1, keepdims=True)
    return p_HWC


def labels_at(scores_HWC: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the class of the highest score at each pixel of a new size.

    Args:
        scores_HWC: Scores of shape `(height, width, classes)`.
        size: New height and width.

    Returns:
        Labels of shape `size`; uint8 for up to 255 classes, else int32.
    """
    classes = scores_HWC.shape[-1]
    labels = np.empty(size, dtype="uint8" if classes <= 255 else "int32")
    for rows, block in resized_rows(scores_HWC, size):
        labels[rows] = block.argmax(axis=-1)
    return labels
