"""The model as it is deployed: what it takes, and of which size."""

import keras

from keras_twins import preprocessing
from keras_twins.detection.detector import Detector
from keras_twins.export.detections import detector_graph
from keras_twins.export.plan import INPUT_NAME
from keras_twins.export.plan import output_names

INPUT_DTYPES = ("float32", "uint8")
"""The dtypes that an artefact may take."""


def serving_model(
    model: keras.Model,
    input_dtype: str | None = None,
    preprocess: bool = False,
    image_size: tuple[int, int] | None = None,
    outputs: str | None = None,
) -> keras.Model:
    """Wraps a model for deployment; the weights are shared.

    Args:
        model: Model with one input of shape `(batch, height, width,
            channels)`.
        input_dtype: `"uint8"` to take raw pixels, or `"float32"`. `None`:
            what the model takes.
        preprocess: Whether to normalise pixels of 0 to 255 with ImageNet's
            mean and deviation, for a model built without that.
        image_size: Height and width in pixels, for a model that leaves them
            open. `None`: as the model has them.
        outputs: `"detections"` or `"raw"`, for a detector. `None`: what the
            graph of the model gives.

    Returns:
        A functional model, not compiled.

    Raises:
        ValueError: If the arguments do not fit the model.
    """
    _check_inputs(model)
    shape = _image_shape(model, image_size)
    source = model.inputs[0]
    own_dtype = keras.backend.standardize_dtype(source.dtype)
    dtype = own_dtype if input_dtype is None else input_dtype
    if dtype not in (own_dtype, *INPUT_DTYPES):
        raise ValueError(
            f"`input_dtype` must be one of {INPUT_DTYPES}, or `None` for what "
            f"the model takes. Received: input_dtype={input_dtype!r}"
        )
    if preprocess:
        _check_preprocess(model, shape)
    if isinstance(model, Detector) and outputs is not None:
        core = detector_graph(model, outputs, shape)
    else:
        core = _without_training(model)
    own = dtype == own_dtype and shape == tuple(core.inputs[0].shape[1:])
    if own and not preprocess:
        return core
    images = keras.Input(shape, dtype=dtype, name=INPUT_NAME)
    x = images
    if dtype != own_dtype:
        x = keras.ops.cast(x, own_dtype)
    if preprocess:
        x = preprocessing.normalization_layer(own_dtype)(x)
    return keras.Model(images, core(x), name=model.name)


def compute_dtypes(model: keras.Model) -> set[str]:
    """Returns the dtypes that the layers of a model compute in.

    Args:
        model: The model.

    Returns:
        Their names.
    """
    return {layer.compute_dtype for layer in model._flatten_layers()}


def _without_training(model: keras.Model) -> keras.Model:
    """Returns the same graph without losses and optimizer.

    They have no place in an artefact, and cannot always be saved.
    """
    if isinstance(model, keras.Sequential):
        inputs, outputs = model.inputs[0], model.outputs[0]
    else:
        inputs, outputs = model.input, model.output
        if names := output_names(model):
            # Their order in every format; PyTorch would keep another one.
            outputs = {name: outputs[name] for name in names}
    core = keras.Model(inputs, outputs, name=model.name)
    core.dtype_policy = model.dtype_policy
    return core


def _check_inputs(model: keras.Model) -> None:
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "`model` must be a functional or built sequential keras.Model. "
            f"Received: {type(model).__name__}"
        )
    if len(model.inputs) != 1:
        raise ValueError(
            "`model` must have one input. Received: a model with "
            f"{len(model.inputs)} inputs"
        )


def _image_shape(
    model: keras.Model, image_size: tuple[int, int] | None
) -> tuple[int | None, ...]:
    shape = tuple(model.inputs[0].shape[1:])
    if image_size is None:
        return shape
    if len(shape) != 3:
        raise ValueError(
            "`image_size` is for models that take images of shape (height, "
            f"width, channels). Received: a model with input shape {shape}"
        )
    pair = isinstance(image_size, tuple | list) and len(image_size) == 2
    if not pair or not all(isinstance(x, int) and x > 0 for x in image_size):
        raise ValueError(
            "`image_size` must be a height and a width in pixels. Received: "
            f"image_size={image_size!r}"
        )
    pairs = zip(shape[:2], image_size, strict=True)
    if any(side not in (None, given) for side, given in pairs):
        raise ValueError(
            "`image_size` can only fix what the model leaves open. Received: "
            f"image_size={tuple(image_size)}, and a model with input shape "
            f"{shape}. Build it with another `input_shape`, and hand the "
            "weights over with `set_weights`."
        )
    return (*image_size, shape[2])


def _check_preprocess(
    model: keras.Model, shape: tuple[int | None, ...]
) -> None:
    name = preprocessing.normalization_layer().name
    if any(layer.name == name for layer in model.layers):
        raise ValueError(
            "`preprocess=True` is for models without preprocessing. Received: "
            f"a model with a layer {name!r}, as `include_preprocessing=True` "
            "makes it; leave `preprocess` out."
        )
    if shape[-1] != 3:
        raise ValueError(
            "`preprocess=True` needs images of 3 channels. Received: a model "
            f"with input shape {shape}"
        )
