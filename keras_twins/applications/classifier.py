"""From an architecture to a classifier, and a new head for a given one."""

import dataclasses
import numbers

import keras

from keras_twins import preprocessing
from keras_twins.applications.arguments import ImageShape
from keras_twins.applications.arguments import Weights
from keras_twins.applications.arguments import check_head
from keras_twins.applications.arguments import check_weights
from keras_twins.applications.arguments import obtain_input
from keras_twins.backbone import BackboneOptions
from keras_twins.backbone import DType
from keras_twins.backbone import build_graph
from keras_twins.config import PatchPadding
from keras_twins.config import TwinsConfig
from keras_twins.config import WindowPadding
from keras_twins.config import variant_config
from keras_twins.layers.initializers import DenseNormal
from keras_twins.ops import Tensor
from keras_twins.weights import load_pretrained

HEAD = "predictions"


def classifier(
    architecture: str | TwinsConfig,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Tensor | None = None,
    input_shape: ImageShape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "twins",
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
    """Builds a classifier of any Twins architecture.

    Args:
        architecture: A `TwinsConfig`, or a key of `keras_twins.VARIANTS`.
        include_top: Whether to end with the classifier.
        weights: `None` (random values), the path of a weights file, or
            `"imagenet"` if `architecture` is a key of `VARIANTS`.
        input_tensor: A `KerasTensor` to build upon.
        input_shape: `(height, width, channels)`. Height and width may be
            `None`, and are at least 32.
        pooling: `None`, `"avg"` or `"max"`, if `include_top` is `False`.
        classes: Number of classes.
        classifier_activation: Activation of the classifier; `None` gives
            logits.
        include_preprocessing: Whether the model takes pixels of 0 to 255
            and normalises them, if they have 3 channels.
        name: Name of the model.
        drop_path_rate: Stochastic-depth rate of the last block.
        dropout_rate: Dropout after attention and in the MLPs.
        attention_dropout_rate: Dropout of the attention weights.
        gradient_checkpointing: Whether training recomputes each block in the
            backward pass.
        dialect: Numeric details of the code base that trained the weights, a
            key of `keras_twins.config.DIALECTS`. A `TwinsConfig` has its own,
            and is left as it is.
        window_padding: Instead of the dialect's; see
            `keras_twins.layers.LocallyGroupedAttention`.
        patch_padding: Instead of the dialect's; see
            `keras_twins.layers.PatchEmbedding`.
        dtype: Dtype policy of all layers.

    Returns:
        A functional `keras.Model`. Its output has shape `(batch, classes)`;
        without the top, `(batch, channels)` if pooled, else
        `(batch, height / 32, width / 32, channels)`.

    Raises:
        ValueError: If arguments do not fit each other.

    Example:

    ```python
    config = dataclasses.replace(
        keras_twins.VARIANTS["svt_small"], position_encoding="none"
    )
    model = keras_twins.classifier(config, classes=10)
    ```
    """
    config = _resolve(architecture, dialect, window_padding, patch_padding)
    variant = None if isinstance(architecture, TwinsConfig) else architecture
    check_weights(weights, variant, include_top, classes)
    check_head(weights, include_top, pooling, classifier_activation)
    options = BackboneOptions(
        drop_path_rate=drop_path_rate,
        dropout_rate=dropout_rate,
        attention_dropout_rate=attention_dropout_rate,
        gradient_checkpointing=gradient_checkpointing,
    )
    image = obtain_input(
        config, input_shape, input_tensor, include_top, weights
    )
    x = image
    if include_preprocessing and image.shape[-1] == 3:
        x = preprocessing.normalization_layer(dtype)(x)
    x = build_graph(config, x, options, dtype).output
    if include_top:
        x = _pool("avg", dtype)(x)
        x = _head(classes, classifier_activation, dtype)(x)
    elif pooling is not None:
        x = _pool(pooling, dtype)(x)
    model = _functional(image, x, name, dtype)
    load_pretrained(model, config, variant, weights, include_top=include_top)
    return model


def reset_classifier(
    model: keras.Model,
    classes: int,
    classifier_activation: str | None = "softmax",
) -> keras.Model:
    """Returns the model with a new classifier; the body keeps its weights.

    The body's layers are shared with the given model: to train one is to
    train both.

    Args:
        model: A classifier of this package, or its body
            (`include_top=False`).
        classes: Number of classes of the new head; 0 for no head: the
            pooled features.
        classifier_activation: Activation of the new head.

    Returns:
        A functional `keras.Model` whose output has shape `(batch, classes)`,
        or `(batch, channels)` without classes.

    Raises:
        ValueError: If the model is not one of Twins.

    Example:

    ```python
    model = keras_twins.TwinsSVTSmall(weights=None)
    flowers = keras_twins.reset_classifier(model, classes=5)
    ```
    """
    if not isinstance(classes, numbers.Integral) or classes < 0:
        raise ValueError(
            f"`classes` must be an integer of at least 0. Received: {classes=}"
        )
    layers = {layer.name: layer for layer in model.layers}
    if "norm" not in layers:
        raise ValueError(
            "`model` must be a Twins classifier or its body, with a layer "
            f"named 'norm'. Received: {model.name} with the layers "
            f"{list(layers)[:5]}..."
        )
    dtype = layers["norm"].dtype_policy
    x = layers[HEAD].input if HEAD in layers else model.output
    if len(x.shape) == 4:
        x = _pool("avg", dtype)(x)
    if classes:
        x = _head(classes, classifier_activation, dtype)(x)
    new = keras.Model(model.input, x, name=model.name)
    new.dtype_policy = model.dtype_policy
    return new


def _functional(
    image: Tensor, outputs: Tensor, name: str, dtype: DType
) -> keras.Model:
    sources = keras.utils.get_source_inputs(image)
    inputs = sources[0] if len(sources) == 1 else sources
    model = keras.Model(inputs, outputs, name=name)
    # Decides about loss scaling, as a global policy would.
    model.dtype_policy = keras.dtype_policies.get(dtype)
    return model


def _resolve(
    architecture: str | TwinsConfig,
    dialect: str,
    window_padding: WindowPadding | None,
    patch_padding: PatchPadding | None,
) -> TwinsConfig:
    """Returns the config that the arguments describe."""
    config = architecture
    if isinstance(config, TwinsConfig):
        config.with_dialect(dialect)  # raises if there is no such dialect
    else:
        config = variant_config(config).with_dialect(dialect)
    given = {"window_padding": window_padding, "patch_padding": patch_padding}
    given = {key: value for key, value in given.items() if value is not None}
    return dataclasses.replace(config, **given)


def _pool(pooling: str, dtype: DType) -> keras.layers.Layer:
    pool = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }[pooling]
    return pool(
        data_format="channels_last", dtype=dtype, name=f"{pooling}_pool"
    )


def _head(
    classes: int, activation: str | None, dtype: DType
) -> keras.layers.Dense:
    return keras.layers.Dense(
        int(classes),
        activation=activation,
        kernel_initializer=DenseNormal(),
        dtype=dtype,
        name=HEAD,
    )
