"""3 x 3 convolutions with a quarter of the products, for CPUs.

Winograd's F(4x4, 3x3): the map is cut into tiles of 6 x 6 positions that
overlap by 2, tiles and kernels are transformed, 36 matrix products take the
place of the convolution, and the results become 4 x 4 positions each.

Shape suffixes: B batch, H height, W width, C channels, F filters, h and w
number of tiles along H and W, T all tiles (B * h * w), S the 36 positions of
a tile, column by column, K all pairs of a channel and a filter.

Reference:
    - [Fast Algorithms for Convolutional Neural Networks](https://arxiv.org/abs/1509.09308)
"""

import functools

import numpy as np
from keras import ops

from keras_twins.ops import maps
from keras_twins.ops.tensors import Size
from keras_twins.ops.tensors import Tensor

_OUT, _IN = 4, 6
"""Side of a tile of the result, and of the map."""

_POINTS = (0.0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)
"""Where the polynomials are evaluated, beside infinity.

Whole numbers make for simpler transforms and five times the rounding error.
"""


@ops.custom_gradient
def winograd(x_BHWC: Tensor, kernel_33CF: Tensor):
    """Convolves a map with a 3 x 3 kernel; the size is kept.

    Keeps the map and the kernel alone for the gradient.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        kernel_33CF: Kernel of shape `(3, 3, channels, filters)`.

    Returns:
        Map of shape `(batch, height, width, filters)`.
    """

    def gradients(*args, upstream=None):
        dy_BHWF = args[0] if upstream is None else upstream
        turned_33FC = ops.transpose(ops.flip(kernel_33CF, (0, 1)), (0, 1, 3, 2))
        return (
            _convolve(dy_BHWF, turned_33FC),
            _kernel_gradient(x_BHWC, dy_BHWF),
        )

    return _convolve(x_BHWC, kernel_33CF), gradients


@functools.cache
def _transforms() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the transforms of map `(6, 6)`, kernel `(6, 3)`, result `(4, 6)`.

    That of the result evaluates polynomials of degree 3, that of the kernel
    those of degree 2, and that of the map interpolates.
    """
    points = np.array(_POINTS)
    last = np.eye(_OUT)[:, -1:]
    result = np.hstack([points ** np.arange(_OUT)[:, None], last])
    others = [np.delete(points, i) for i in range(len(points))]
    scales = [np.prod(p - q) for p, q in zip(points, others, strict=True)]
    kernel = np.vstack(
        [points[:, None] ** np.arange(3) / np.array(scales)[:, None], [0, 0, 1]]
    )
    polynomials = [np.poly(roots)[::-1] for roots in (*others, points)]
    image = np.zeros((_IN, _IN))
    for row, coefficients in zip(image, polynomials, strict=True):
        row[: len(coefficients)] = coefficients
    return image, kernel, result


def _convolve(x_BHWC: Tensor, kernel_33CF: Tensor) -> Tensor:
    height, width = maps.spatial_size(x_BHWC)
    tiles = _tile_count(height), _tile_count(width)
    x_STC = _transform_map(x_BHWC, tiles)
    kernel_SCF = _transform_kernel(kernel_33CF)
    y_BHWF = _transform_products(ops.matmul(x_STC, kernel_SCF), tiles)
    return maps.crop(y_BHWF, height, width)


def _kernel_gradient(x_BHWC: Tensor, dy_BHWF: Tensor) -> Tensor:
    height, width = maps.spatial_size(x_BHWC)
    tiles = _tile_count(height), _tile_count(width)
    x_STC = _transform_map(x_BHWC, tiles)
    dy_STF = _transform_gradient(dy_BHWF, tiles)
    dkernel_SCF = ops.matmul(ops.transpose(x_STC, (0, 2, 1)), dy_STF)
    channels, filters = dkernel_SCF.shape[1:]
    dkernel_66K = ops.reshape(dkernel_SCF, (_IN, _IN, channels * filters))
    dkernel_33K = _transform_twice(_transforms()[1].T, dkernel_66K)
    return ops.reshape(dkernel_33K, (3, 3, channels, filters))


def _tile_count(size: Size) -> Size:
    return (size + _OUT - 1) // _OUT


def _transform_kernel(kernel_33CF: Tensor) -> Tensor:
    _, _, channels, filters = kernel_33CF.shape
    kernel_33K = ops.reshape(kernel_33CF, (3, 3, channels * filters))
    kernel_66K = _transform_twice(_transforms()[1], kernel_33K)
    return ops.reshape(kernel_66K, (_IN * _IN, channels, filters))


def _transform_map(x_BHWC: Tensor, tiles: tuple[Size, Size]) -> Tensor:
    """Returns the 36 positions of every tile, `(S, T, C)`."""
    height, width = maps.spatial_size(x_BHWC)
    rows, columns = tiles
    padding = [
        [0, 0],
        [1, _OUT * rows + 1 - height],
        [1, _OUT * columns + 1 - width],
        [0, 0],
    ]
    return _cut_tiles(ops.pad(x_BHWC, padding), _transforms()[0], tiles)


def _transform_gradient(dy_BHWF: Tensor, tiles: tuple[Size, Size]) -> Tensor:
    """Returns the gradients of the products, `(S, T, F)`."""
    height, width = maps.spatial_size(dy_BHWF)
    rows, columns = tiles
    padding = [
        [0, 0],
        [0, _OUT * rows - height],
        [0, _OUT * columns - width],
        [0, 0],
    ]
    return _cut_tiles(ops.pad(dy_BHWF, padding), _transforms()[2].T, tiles)


def _cut_tiles(
    x_BHWC: Tensor, matrix: np.ndarray, tiles: tuple[Size, Size]
) -> Tensor:
    """Cuts a padded map into tiles and transforms them, `(S, T, C)`."""
    rows, columns = tiles
    side = matrix.shape[1]
    lines = [_every_fourth(x_BHWC, i, rows, 1) for i in range(side)]
    lines_6BhWC = _transform(matrix, ops.stack(lines))
    parts = [_every_fourth(lines_6BhWC, j, columns, 3) for j in range(side)]
    parts_66BhwC = _transform(matrix, ops.stack(parts))
    return ops.reshape(parts_66BhwC, (_IN * _IN, -1, x_BHWC.shape[-1]))


def _transform_products(y_STF: Tensor, tiles: tuple[Size, Size]) -> Tensor:
    """Returns the map `(B, 4 * h, 4 * w, F)` of the products."""
    rows, columns = tiles
    filters = y_STF.shape[-1]
    y_66TF = ops.reshape(y_STF, (_IN, _IN, -1, filters))
    # Rows and columns of a tile have changed places twice: rows come first.
    y_44TF = _transform_twice(_transforms()[2], y_66TF)
    y_44BhwF = ops.reshape(y_44TF, (_OUT, _OUT, -1, rows, columns, filters))
    y_Bh4w4F = ops.transpose(y_44BhwF, (2, 3, 0, 4, 1, 5))
    return ops.reshape(y_Bh4w4F, (-1, _OUT * rows, _OUT * columns, filters))


def _every_fourth(x: Tensor, first: int, count: Size, axis: int) -> Tensor:
    """Returns `count` rows (axis 1) or columns (axis 3) in steps of 4."""
    last = first + _OUT * (count - 1) + 1
    if axis == 1:
        return x[:, first:last:_OUT]
    return x[:, :, :, first:last:_OUT]


def _transform(matrix: np.ndarray, x: Tensor) -> Tensor:
    """Returns the sums of the parts of `x` that the rows of a matrix say."""
    return ops.tensordot(ops.convert_to_tensor(matrix, x.dtype), x, 1)


def _transform_twice(matrix: np.ndarray, x: Tensor) -> Tensor:
    """Transforms the first two axes, which change places."""
    x = _transform(matrix, x)
    matrix_ = ops.convert_to_tensor(matrix, x.dtype)
    return ops.tensordot(matrix_, x, axes=[[1], [1]])
