"""The six public constructors: one signature, six rows."""

import fnmatch
from collections.abc import Callable
from collections.abc import Mapping

import keras

from keras_twins.applications.arguments import ImageShape
from keras_twins.applications.arguments import Weights
from keras_twins.applications.classifier import classifier
from keras_twins.backbone import DType
from keras_twins.config import PatchPadding
from keras_twins.config import WindowPadding
from keras_twins.ops import Tensor

_DOCSTRING = """Instantiates the {title} architecture.

For image classification use cases, see the examples of this package. For
transfer learning, pass `include_top=False`, or give the model a new head by
`keras_twins.reset_classifier(model, classes)`.

Note: Each Keras Application expects a specific kind of input preprocessing.
Here it is a part of the model (`include_preprocessing=True`): the model takes
pixels of 0 to 255, and `keras_twins.preprocess_input` does nothing.

Args:
    include_top: Whether to end with the classifier of 1000 classes.
    weights: `"imagenet"` (downloaded once, verified, cached), `None` (random
        values), or the path of a weights file: `.weights.h5` of this
        package, `.safetensors` or `.pth` with the names of timm or of the
        official code.
    input_tensor: A `KerasTensor` to build upon, instead of a new input.
    input_shape: `(height, width, channels)`, by default `(224, 224, 3)`, and
        `(None, None, 3)` without the top. Height and width may be `None` and
        are at least 32. If there are not 3 channels, the stem of pretrained
        weights (but of `.weights.h5` files) is adapted: summed for one
        channel, else repeated and scaled by `3 / channels`.
    pooling: What follows the last map if `include_top` is `False`: `None`
        (the map itself), `"avg"` or `"max"`.
    classes: Number of classes; 1000 with `weights="imagenet"`.
    classifier_activation: Activation of the classifier; `None` gives logits.
        With pretrained weights only `None` or `"softmax"`.
    include_preprocessing: Whether the model takes pixels of 0 to 255 and
        normalises them. Images must have 3 channels for it.
    name: Name of the model.
    drop_path_rate: Stochastic-depth rate of the last block; the rates rise
        linearly from 0.
    dropout_rate: Dropout after attention and in the MLPs.
    attention_dropout_rate: Dropout of the attention weights.
    gradient_checkpointing: Whether training computes each block a second
        time in the backward pass instead of keeping what is in it.
    dialect: Numeric details of the code base that trained the weights:
        `"timm"` and `"official"` are the same; the others are keys of
        `keras_twins.config.DIALECTS`.
    window_padding: Instead of the dialect's: `"zero"`, `"masked"` or
        `"masked_legacy"`; see `keras_twins.layers.LocallyGroupedAttention`.
    patch_padding: Instead of the dialect's: `"valid"` or `"corner"`; see
        `keras_twins.layers.PatchEmbedding`.
    dtype: Dtype policy of all layers; by default the global one.

Returns:
    A functional `keras.Model`. Its output has shape `(batch, classes)`;
    without the top, `(batch, channels)` if pooled, else
    `(batch, height / 32, width / 32, channels)`.

Raises:
    ValueError: If arguments do not fit each other.

Reference:
    - [Twins](https://arxiv.org/abs/2104.13840)

Example:

```python
model = keras_twins.{function}(weights=None)
probabilities = model.predict(numpy.zeros((1, 224, 224, 3)))
```
"""


def _constructor(
    variant: str, function: str, title: str
) -> Callable[..., keras.Model]:
    def construct(
        include_top: bool = True,
        weights: Weights = "imagenet",
        input_tensor: Tensor | None = None,
        input_shape: ImageShape | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: str | None = "softmax",
        include_preprocessing: bool = True,
        name: str = f"twins_{variant}",
        *,
        drop_path_rate: float = 0.0,
        dropout_rate: float = 0.0,
        attention_dropout_rate: float = 0.0,
        gradient_checkpointing: bool = False,
        dialect: str = "timm",
        window_padding: WindowPadding | None = None,
        patch_padding: PatchPadding | None = None,
        dtype: DType = None,
    ) -> keras.Model:
        return classifier(
            variant,
            include_top=include_top,
            weights=weights,
            input_tensor=input_tensor,
            input_shape=input_shape,
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            include_preprocessing=include_preprocessing,
            name=name,
            drop_path_rate=drop_path_rate,
            dropout_rate=dropout_rate,
            attention_dropout_rate=attention_dropout_rate,
            gradient_checkpointing=gradient_checkpointing,
            dialect=dialect,
            window_padding=window_padding,
            patch_padding=patch_padding,
            dtype=dtype,
        )

    construct.__name__ = construct.__qualname__ = function
    construct.__doc__ = _DOCSTRING.format(title=title, function=function)
    return construct


TwinsPCPVTSmall = _constructor(
    "pcpvt_small", "TwinsPCPVTSmall", "Twins-PCPVT-S"
)
TwinsPCPVTBase = _constructor("pcpvt_base", "TwinsPCPVTBase", "Twins-PCPVT-B")
TwinsPCPVTLarge = _constructor(
    "pcpvt_large", "TwinsPCPVTLarge", "Twins-PCPVT-L"
)
TwinsSVTSmall = _constructor("svt_small", "TwinsSVTSmall", "Twins-SVT-S")
TwinsSVTBase = _constructor("svt_base", "TwinsSVTBase", "Twins-SVT-B")
TwinsSVTLarge = _constructor("svt_large", "TwinsSVTLarge", "Twins-SVT-L")

CONSTRUCTORS: Mapping[str, Callable[..., keras.Model]] = {
    "pcpvt_small": TwinsPCPVTSmall,
    "pcpvt_base": TwinsPCPVTBase,
    "pcpvt_large": TwinsPCPVTLarge,
    "svt_small": TwinsSVTSmall,
    "svt_base": TwinsSVTBase,
    "svt_large": TwinsSVTLarge,
}
"""The constructor of each key of `keras_twins.VARIANTS`."""


def list_models(pattern: str = "*") -> list[str]:
    """Returns the names of the constructors of this package.

    Args:
        pattern: Shell-style pattern that the names must match; case does not
            matter.

    Returns:
        A list of names; `getattr(keras_twins, name)` is the constructor.

    Example:

    ```python
    keras_twins.list_models("*svt*")
    ```
    """
    names = [function.__name__ for function in CONSTRUCTORS.values()]
    return [n for n in names if fnmatch.fnmatch(n.lower(), pattern.lower())]


def preprocess_input(x: Tensor, data_format: str | None = None) -> Tensor:
    """Returns its input: the preprocessing is a part of the model.

    It exists so that code written for other `keras.applications` runs. For a
    model built with `include_preprocessing=False`, use
    `keras_twins.preprocessing.normalize`.

    Args:
        x: Images of shape `(batch, height, width, channels)`, pixels of 0 to
            255.
        data_format: Not used; for the common signature.

    Returns:
        The same images.
    """
    return x
