"""Published weights: where they are, how they are read and mapped."""

from keras_twins.weights.pretrained import load_pretrained

__all__ = ["load_pretrained"]
