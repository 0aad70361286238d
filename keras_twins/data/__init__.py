"""Data sets that need no download, and augmentation; no model is here."""

from keras_twins.data.augmentation import AugmentedBatches
from keras_twins.data.augmentation import random_affine
from keras_twins.data.digits import Split
from keras_twins.data.digits import load_digits
from keras_twins.data.digits import load_photographs

__all__ = [
    "AugmentedBatches",
    "Split",
    "load_digits",
    "load_photographs",
    "random_affine",
]
