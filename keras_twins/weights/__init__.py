"""Published weights: where they are, how they are read and mapped."""

from keras_twins.weights.download import fetch_weights
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.errors import WeightsDownloadError
from keras_twins.weights.loading import load_weights_file
from keras_twins.weights.mapping import export_state
from keras_twins.weights.mapping import load_state
from keras_twins.weights.mapping import write_safetensors
from keras_twins.weights.naming import expected_pairs
from keras_twins.weights.pretrained import load_pretrained
from keras_twins.weights.readers import read_checkpoint
from keras_twins.weights.unwrapping import unwrap

__all__ = [
    "CheckpointError",
    "WeightsDownloadError",
    "expected_pairs",
    "export_state",
    "fetch_weights",
    "load_pretrained",
    "load_state",
    "load_weights_file",
    "read_checkpoint",
    "unwrap",
    "write_safetensors",
]
