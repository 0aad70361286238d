"""The layers of Twins, each serialisable and usable on its own."""

from keras_twins.layers.attention import GlobalSubsampledAttention
from keras_twins.layers.attention import LocallyGroupedAttention
from keras_twins.layers.block import TwinsBlock
from keras_twins.layers.convolution_block import ConvolutionBlock
from keras_twins.layers.drop_path import DropPath
from keras_twins.layers.feature_pyramid import FeaturePyramid
from keras_twins.layers.mlp import MLP
from keras_twins.layers.patch_embedding import PatchEmbedding
from keras_twins.layers.position_encoding import PositionEncodingGenerator
from keras_twins.layers.resizing import AdaptiveAveragePooling
from keras_twins.layers.resizing import ResizeLike

__all__ = [
    "AdaptiveAveragePooling",
    "ConvolutionBlock",
    "DropPath",
    "FeaturePyramid",
    "GlobalSubsampledAttention",
    "LocallyGroupedAttention",
    "MLP",
    "PatchEmbedding",
    "PositionEncodingGenerator",
    "ResizeLike",
    "TwinsBlock",
]
