"""Maps: their size, padding, cropping and windows.

Shape suffixes: B batch, H height, W width, C channels, p side of a patch or
window, h and w number of patches or windows along H and W, G windows of the
whole batch (B * h * w).
"""

import keras
from keras import ops

from keras_twins.ops.tensors import Size
from keras_twins.ops.tensors import Tensor


def spatial_size(x_BHWC: Tensor) -> tuple[Size, Size]:
    """Returns the height and width of a map.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.

    Returns:
        Height and width, each an `int` where it is static.
    """
    shape = ops.shape(x_BHWC)
    return shape[1], shape[2]


def require_min_size(x_BHWC: Tensor, minimum: int, owner: str) -> Tensor:
    """Returns the map, or raises if it is smaller than `minimum`.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        minimum: Smallest height and width in positions.
        owner: Who asks, for the message.

    Returns:
        The same map. In a TensorFlow graph of dynamic size, the check runs
        with the graph.

    Raises:
        ValueError: If height or width is below `minimum`.
    """
    check_min_size(x_BHWC.shape[1], x_BHWC.shape[2], minimum, owner)
    dynamic = None in tuple(x_BHWC.shape[1:3])
    if dynamic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        check = tf.debugging.assert_greater_equal(
            tf.reduce_min(tf.shape(x_BHWC)[1:3]),
            minimum,
            message=f"{owner} needs maps of at least {minimum}x{minimum}.",
        )
        # A graph orders the check by control dependency, eager code by line.
        with tf.control_dependencies([] if check is None else [check]):
            return tf.identity(x_BHWC)
    return x_BHWC


def check_min_size(
    height: int | None, width: int | None, minimum: int, owner: str
) -> None:
    """Raises if a known height or width is below `minimum`.

    Args:
        height: Height in positions, `None` if unknown.
        width: Width in positions, `None` if unknown.
        minimum: Smallest height and width in positions.
        owner: Who asks, for the message.

    Raises:
        ValueError: If height or width is below `minimum`.
    """
    # JAX exports with symbolic sizes, which cannot be compared.
    known = [size for size in (height, width) if isinstance(size, int)]
    if any(size < minimum for size in known):
        raise ValueError(
            f"{owner} needs maps of at least {minimum}x{minimum} positions. "
            f"Received: height={height}, width={width}. Use larger images "
            "(the published models need at least 32x32 pixels), or a smaller "
            "`sr_ratio` or patch size."
        )


def pad_to_multiple(x_BHWC: Tensor, multiple: int) -> Tensor:
    """Pads a map with zeros at the bottom and right.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        multiple: Height and width become the next multiple of it.

    Returns:
        The padded map; the same tensor if nothing is missing.
    """
    height, width = spatial_size(x_BHWC)
    # Positive numbers only: tf2onnx takes the remainder of others towards zero.
    bottom, right = (
        (multiple - size % multiple) % multiple for size in (height, width)
    )
    static = isinstance(bottom, int) and isinstance(right, int)
    if static and bottom == right == 0:
        return x_BHWC
    return ops.pad(x_BHWC, [[0, 0], [0, bottom], [0, right], [0, 0]])


def crop(x_BHWC: Tensor, height: Size, width: Size) -> Tensor:
    """Returns the top left part of a map.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        height: Height to keep, in positions.
        width: Width to keep, in positions.

    Returns:
        Map of shape `(batch, height, width, channels)`.
    """
    if x_BHWC.shape[1] == height and x_BHWC.shape[2] == width:
        return x_BHWC
    return x_BHWC[:, :height, :width, :]


def crop_to_multiple(x_BHWC: Tensor, multiple: int) -> Tensor:
    """Drops the last rows and columns that do not fill a multiple.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        multiple: Height and width become the last multiple of it.

    Returns:
        The cropped map.
    """
    height, width = spatial_size(x_BHWC)
    return crop(x_BHWC, height - height % multiple, width - width % multiple)


def partition_windows(x_BHWC: Tensor, p: int) -> Tensor:
    """Cuts a map into windows: `b (h p) (w q) c -> (b h w) (p q) c`.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)` whose height
            and width are multiples of `p`.
        p: Side of a window in positions.

    Returns:
        Tensor of shape `(batch * windows, p * p, channels)`.
    """
    x_RpwK = columns_to_windows(x_BHWC, p)
    return ops.reshape(x_RpwK, (-1, p * p, x_BHWC.shape[-1]))


def merge_windows(x_GLC: Tensor, p: int, height: Size, width: Size) -> Tensor:
    """Undoes `partition_windows`.

    Args:
        x_GLC: Tensor of shape `(batch * windows, p * p, channels)`.
        p: Side of a window in positions.
        height: Height of the map, a multiple of `p`.
        width: Width of the map, a multiple of `p`.

    Returns:
        Map of shape `(batch, height, width, channels)`.
    """
    channels = x_GLC.shape[-1]
    # 4-D transposes only: deployment formats run 5-D ones slowly or not.
    x = ops.reshape(x_GLC, (-1, width // p, p, p * channels))
    x = ops.transpose(x, (0, 2, 1, 3))
    return ops.reshape(x, (-1, height, width, channels))


def columns_to_windows(x_BHWC: Tensor, p: int) -> Tensor:
    """Returns `(B * h, w, p, p * C)`: each window's rows side by side."""
    _, width = spatial_size(x_BHWC)
    x = ops.reshape(x_BHWC, (-1, p, width // p, p * x_BHWC.shape[-1]))
    return ops.transpose(x, (0, 2, 1, 3))
