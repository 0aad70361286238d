"""Twins vision transformers for Keras 3, on TensorFlow, JAX and PyTorch."""

from keras_twins import layers
from keras_twins import preprocessing
from keras_twins.applications import TwinsPCPVTBase
from keras_twins.applications import TwinsPCPVTLarge
from keras_twins.applications import TwinsPCPVTSmall
from keras_twins.applications import TwinsSVTBase
from keras_twins.applications import TwinsSVTLarge
from keras_twins.applications import TwinsSVTSmall
from keras_twins.applications import classifier
from keras_twins.applications import list_models
from keras_twins.applications import preprocess_input
from keras_twins.applications import reset_classifier
from keras_twins.backbone import TwinsBackbone
from keras_twins.config import VARIANTS
from keras_twins.config import TwinsConfig
from keras_twins.flops import FlopCount
from keras_twins.flops import count_flops
from keras_twins.imagenet import decode_predictions
from keras_twins.version import __version__

__all__ = [
    "FlopCount",
    "VARIANTS",
    "TwinsBackbone",
    "TwinsConfig",
    "TwinsPCPVTBase",
    "TwinsPCPVTLarge",
    "TwinsPCPVTSmall",
    "TwinsSVTBase",
    "TwinsSVTLarge",
    "TwinsSVTSmall",
    "__version__",
    "classifier",
    "count_flops",
    "decode_predictions",
    "layers",
    "list_models",
    "preprocess_input",
    "preprocessing",
    "reset_classifier",
]
