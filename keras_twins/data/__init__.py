"""Data sets, two of which need no download, and augmentation; no model."""

from keras_twins.data.ade20k import load_ade20k
from keras_twins.data.augmentation import AugmentedBatches
from keras_twins.data.augmentation import random_affine
from keras_twins.data.digit_scenes import SCENE_CLASSES
from keras_twins.data.digit_scenes import DigitScenes
from keras_twins.data.digit_scenes import load_digit_scenes
from keras_twins.data.digits import Split
from keras_twins.data.digits import load_digits
from keras_twins.data.digits import load_photographs
from keras_twins.data.scene_parse150 import load_scene_parse150
from keras_twins.data.segmentation_augmentation import SegmentationAugmentation
from keras_twins.data.segmentation_pipeline import evaluation_examples
from keras_twins.data.segmentation_pipeline import training_batches

__all__ = [
    "SCENE_CLASSES",
    "AugmentedBatches",
    "DigitScenes",
    "SegmentationAugmentation",
    "Split",
    "evaluation_examples",
    "load_ade20k",
    "load_digit_scenes",
    "load_digits",
    "load_photographs",
    "load_scene_parse150",
    "random_affine",
    "training_batches",
]
