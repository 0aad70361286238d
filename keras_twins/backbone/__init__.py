"""The backbone: a config becomes a model with a feature pyramid."""

from keras_twins.backbone.graph import BackboneOptions
from keras_twins.backbone.graph import DType
from keras_twins.backbone.graph import TwinsGraph
from keras_twins.backbone.graph import build_graph
from keras_twins.backbone.model import TwinsBackbone

__all__ = [
    "BackboneOptions",
    "DType",
    "TwinsBackbone",
    "TwinsGraph",
    "build_graph",
]
