"""What a model costs: products and parameters, counted from shapes."""

from keras_twins.flops.counter import count_flops
from keras_twins.flops.results import FlopCount
from keras_twins.flops.results import LayerCount

__all__ = ["FlopCount", "LayerCount", "count_flops"]
