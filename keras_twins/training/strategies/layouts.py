"""Which axis of which weight of a Twins network a model axis cuts."""

from collections.abc import Mapping
from typing import TypeAlias

import keras

Layouts: TypeAlias = (
    keras.distribution.DataParallel | keras.distribution.ModelParallel
)
"""Keras's name for which part of what lies on which device."""

LAYOUTS: Mapping[str, tuple[str | None, ...]] = {
    r".*/(qkv|q|kv)/kernel": (None, "model"),
    r".*/(qkv|q|kv)/bias": ("model",),
    r".*/projection/kernel": ("model", None),
    r".*/fc1/kernel": (None, "model"),
    r".*/fc1/bias": ("model",),
    r".*/fc2/kernel": ("model", None),
}
"""Axes of the mesh by the path of a weight; a weight without a row is whole.

Heads and hidden units are cut: the layers that make them by their outputs,
and the layers that join them by their inputs, so that a block needs one sum
over devices for its attention and one for its MLP. The biases of the joining
layers are added after the sum and stay whole.
"""


def twins_layout_map(
    mesh: keras.distribution.DeviceMesh,
) -> keras.distribution.LayoutMap:
    """Returns the layouts of the weights of Twins models.

    Args:
        mesh: Devices with an axis `"model"`.

    Returns:
        The map of `LAYOUTS`. A weight may be one of any model that holds a
        Twins backbone.
    """
    layouts = keras.distribution.LayoutMap(mesh)
    for path, axes in LAYOUTS.items():
        layouts[path] = axes
    return layouts


class TwinsModelParallel(keras.distribution.ModelParallel):
    """Keras's model parallelism with the layouts of Twins.

    Weights that the model axis does not divide are whole on every device.

    Args:
        mesh: Devices with the axes `"batch"` and `"model"`.
    """

    def __init__(self, mesh: keras.distribution.DeviceMesh) -> None:
        super().__init__(
            layout_map=twins_layout_map(mesh),
            batch_dim_name="batch",
            # Each process reads its own part.
            auto_shard_dataset=False,
        )

    def get_variable_layout(
        self, variable: keras.Variable
    ) -> keras.distribution.TensorLayout:
        """Returns the layout of a weight, a slot or any other variable."""
        layout = super().get_variable_layout(variable)
        if _divides(layout, variable.shape):
            return layout
        whole = (None,) * len(variable.shape)
        return keras.distribution.TensorLayout(whole, self.device_mesh)


def _divides(
    layout: keras.distribution.TensorLayout, shape: tuple[int, ...]
) -> bool:
    mesh = layout.device_mesh
    sizes = dict(zip(mesh.axis_names, mesh.shape, strict=True))
    return len(layout.axes) == len(shape) and all(
        size % sizes.get(axis, 1) == 0
        for axis, size in zip(layout.axes, shape, strict=True)
    )
