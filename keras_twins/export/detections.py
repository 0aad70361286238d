"""Detectors as they are deployed: the maps of the heads, or the objects."""
# ruff: noqa: D102 - the class says what `call` does

from collections.abc import Mapping
from typing import Any

import keras

from keras_twins.detection.anchors import RETINANET_ANCHORS
from keras_twins.detection.anchors import RPN_ANCHORS
from keras_twins.detection.detector import Detector
from keras_twins.detection.mask_rcnn import MaskRCNN
from keras_twins.detection.retinanet import RetinaNet
from keras_twins.export.formats import Format
from keras_twins.ops import Tensor

OUTPUTS = ("detections", "raw")
"""What an artefact of a detector may give."""

DETECTION_NAMES = frozenset({"boxes", "labels", "scores", "valid"})
"""Names of the outputs that all artefacts with the objects have."""

_ANCHORS = {
    RetinaNet.head_name: RETINANET_ANCHORS,
    MaskRCNN.head_name: RPN_ANCHORS,
}

_PRECISIONS = ("float32", "float16")


@keras.saving.register_keras_serializable(package="keras_twins")
class Predictions(keras.layers.Layer):
    """A detector as a layer: images in, objects out, by name.

    Args:
        detector: The detector.
        **kwargs: Keywords of `keras.layers.Layer`.
    """

    def __init__(self, detector: Detector, **kwargs: Any):
        super().__init__(**kwargs)
        self.detector = detector
        self.built = True

    def call(self, images: Tensor) -> dict[str, Tensor]:
        found = self.detector(images, training=False)
        return {name: found[name] for name in sorted(found)}

    def compute_output_spec(self, images: Tensor) -> dict[str, Tensor]:
        spec = self.detector.compute_output_spec(images)
        return {name: spec[name] for name in sorted(spec)}

    def get_config(self) -> dict[str, Any]:
        detector = keras.saving.serialize_keras_object(self.detector)
        # Losses and optimizer have no place in an artefact.
        detector.pop("compile_config", None)
        return {**super().get_config(), "detector": detector}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Predictions":
        config = dict(config)
        detector = keras.saving.deserialize_keras_object(config.pop("detector"))
        return cls(detector, **config)


def choose_outputs(
    model: keras.Model, outputs: str | None, chosen: Format, precision: str
) -> str | None:
    """Returns what the artefact of a model gives.

    Args:
        model: The model.
        outputs: One of `OUTPUTS`, or `None` for what the model gives.
        chosen: The format.
        precision: Precision of the artefact.

    Returns:
        One of `OUTPUTS` for detectors, `None` for other models.

    Raises:
        ValueError: If the model is no detector, or the format cannot hold
            what is asked for.
    """
    if not isinstance(model, Detector):
        if outputs is not None:
            raise ValueError(
                "`outputs` is for detectors; other models give what they "
                f"give. Received: {outputs=}, and a {type(model).__name__}"
            )
        return None
    if precision not in _PRECISIONS:
        raise ValueError(
            "What 8 bits cost a detector was not measured; `precision` must "
            f"be one of {_PRECISIONS}. Received: precision={precision!r}"
        )
    outputs = OUTPUTS[0] if outputs is None else outputs
    if outputs not in OUTPUTS:
        raise ValueError(
            f"`outputs` must be one of {OUTPUTS}. Received: {outputs=}"
        )
    if outputs != "raw":
        _check_decoding(model, chosen, precision)
    return outputs


def _check_decoding(model: Detector, chosen: Format, precision: str) -> None:
    advice = (
        "Pass `outputs='raw'` for the maps of the heads, which `detect` of "
        "the model decodes, or export to 'saved_model'."
    )
    if model.head_name not in chosen.detections:
        raise ValueError(
            f"Format {chosen.name!r} cannot hold the objects that a "
            f"{type(model).__name__} finds: {chosen.no_detections}. {advice}"
        )
    if precision != "float32":
        raise ValueError(
            "Objects are found in float32 only: a choice between overlapping "
            f"boxes is not a matter of precision. {advice} Received: "
            f"precision={precision!r}"
        )


def detector_graph(
    detector: Detector, outputs: str, shape: tuple[int | None, ...]
) -> keras.Model:
    """Returns a detector as a plain functional model; weights are shared.

    Args:
        detector: The detector.
        outputs: One of `OUTPUTS`.
        shape: Shape of an image, for `"detections"`.

    Returns:
        Model from images to a dictionary of tensors. With `"raw"`, these are
        `"logits_P3"`, `"deltas_P3"` and so on for each level, and for Mask
        R-CNN, whose second stage is left out, also the maps that regions are
        pooled from, `"maps_P2"` and so on.
    """
    if outputs == "raw":
        images, named = detector.input, _named_maps(detector)
    else:
        images = keras.Input(shape, dtype=detector.inputs[0].dtype)
        named = Predictions(detector, name="predictions")(images)
    graph = keras.Model(images, named, name=detector.name)
    graph.dtype_policy = detector.dtype_policy
    return graph


def _named_maps(detector: Detector) -> dict[str, Tensor]:
    strides = _ANCHORS[detector.head_name].strides
    named = {
        f"{kind}_P{stride.bit_length() - 1}": level
        for kind, levels in detector.output.items()
        for stride, level in zip(strides, levels, strict=False)
    }
    return {name: named[name] for name in sorted(named)}


def gives_objects(model: keras.Model) -> bool:
    """Returns whether a model's outputs are the objects of images.

    Args:
        model: A functional model.

    Returns:
        Whether it has outputs of the names that objects have.
    """
    output = model.output
    return isinstance(output, Mapping) and set(output) >= DETECTION_NAMES
