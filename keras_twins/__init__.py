"""Twins vision transformers for Keras 3, on TensorFlow, JAX and PyTorch."""

from keras_twins import layers
from keras_twins.backbone import TwinsBackbone
from keras_twins.config import VARIANTS
from keras_twins.config import TwinsConfig
from keras_twins.version import __version__

__all__ = [
    "VARIANTS",
    "TwinsBackbone",
    "TwinsConfig",
    "__version__",
    "layers",
]
