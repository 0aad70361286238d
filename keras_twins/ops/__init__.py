"""Pure tensor functions and the only branches on the backend."""

from keras_twins.ops.accelerators import leave_accelerators_to_keras
from keras_twins.ops.activation import gelu
from keras_twins.ops.attention import attend
from keras_twins.ops.convolution import convolve_3x3
from keras_twins.ops.depthwise import add_depthwise
from keras_twins.ops.fast_paths import fast_paths
from keras_twins.ops.fast_paths import fast_paths_enabled
from keras_twins.ops.generators import generator_states
from keras_twins.ops.generators import set_generator_states
from keras_twins.ops.maps import check_min_size
from keras_twins.ops.maps import crop
from keras_twins.ops.maps import crop_to_multiple
from keras_twins.ops.maps import merge_windows
from keras_twins.ops.maps import pad_to_multiple
from keras_twins.ops.maps import partition_windows
from keras_twins.ops.maps import require_min_size
from keras_twins.ops.maps import spatial_size
from keras_twins.ops.normalization import layer_norm
from keras_twins.ops.normalization import moments_of_processes
from keras_twins.ops.products import convolve_patches
from keras_twins.ops.products import project
from keras_twins.ops.products import spread_patches
from keras_twins.ops.resizing import adaptive_average_pool
from keras_twins.ops.resizing import resize_bilinear
from keras_twins.ops.resizing import resize_nearest
from keras_twins.ops.tensors import Shape
from keras_twins.ops.tensors import Size
from keras_twins.ops.tensors import Tensor
from keras_twins.ops.tensors import compiles_open_sizes
from keras_twins.ops.tensors import has_replicas
from keras_twins.ops.tensors import read
from keras_twins.ops.tensors import runs_at_once
from keras_twins.ops.tensors import share_of_replica

__all__ = [
    "Shape",
    "Size",
    "Tensor",
    "adaptive_average_pool",
    "add_depthwise",
    "attend",
    "check_min_size",
    "compiles_open_sizes",
    "convolve_3x3",
    "convolve_patches",
    "crop",
    "crop_to_multiple",
    "fast_paths",
    "fast_paths_enabled",
    "gelu",
    "generator_states",
    "has_replicas",
    "layer_norm",
    "leave_accelerators_to_keras",
    "merge_windows",
    "moments_of_processes",
    "pad_to_multiple",
    "partition_windows",
    "project",
    "read",
    "require_min_size",
    "resize_bilinear",
    "resize_nearest",
    "runs_at_once",
    "set_generator_states",
    "share_of_replica",
    "spatial_size",
    "spread_patches",
]
