"""Recipes of the paper, their schedules and their optimizers."""

from keras_twins.training.detection_recipes import DETECTION_RECIPES
from keras_twins.training.detection_recipes import DetectionRecipe
from keras_twins.training.optimizer import adamw
from keras_twins.training.optimizer import exempt_from_decay
from keras_twins.training.optimizer import without_decay
from keras_twins.training.schedules import WarmupPolynomialDecay
from keras_twins.training.schedules import WarmupStepDecay
from keras_twins.training.segmentation_recipes import SEGMENTATION_RECIPES
from keras_twins.training.segmentation_recipes import SegmentationRecipe

__all__ = [
    "DETECTION_RECIPES",
    "DetectionRecipe",
    "SEGMENTATION_RECIPES",
    "SegmentationRecipe",
    "WarmupPolynomialDecay",
    "WarmupStepDecay",
    "adamw",
    "exempt_from_decay",
    "without_decay",
]
