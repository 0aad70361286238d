"""Twins as models of KerasHub: backbone, classifier, segmenters, detector.

To import it is to register its classes with Keras, which files and preset
folders that hold them need.

`from_preset` of `TwinsBackbone`, `TwinsImageClassifier`, its preprocessor and
its converter take `"hf://timm/twins_<variant>.in1k"`. KerasHub's own classes,
such as `keras_hub.models.ImageClassifier`, do not: their list of timm's
architectures is fixed and has no Twins. Folders that `save_to_preset` wrote,
both can read.
"""

try:
    import keras_hub as _  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"KerasHub cannot be imported ({error}). Install it with "
        '`pip install "keras-twins[hub]"`.'
    ) from error

from keras_twins.integrations.keras_hub.backbone import TwinsBackbone
from keras_twins.integrations.keras_hub.classifier import TwinsImageClassifier
from keras_twins.integrations.keras_hub.classifier import (
    TwinsImageClassifierPreprocessor,
)
from keras_twins.integrations.keras_hub.classifier import TwinsImageConverter
from keras_twins.integrations.keras_hub.detectors import retinanet
from keras_twins.integrations.keras_hub.segmenters import SegFormerEncoder
from keras_twins.integrations.keras_hub.segmenters import deeplab_v3
from keras_twins.integrations.keras_hub.segmenters import segformer

__all__ = [
    "SegFormerEncoder",
    "TwinsBackbone",
    "TwinsImageClassifier",
    "TwinsImageClassifierPreprocessor",
    "TwinsImageConverter",
    "deeplab_v3",
    "retinanet",
    "segformer",
]
