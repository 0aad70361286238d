"""Recipes of the paper, and what trains by them."""

from keras_twins.training.averaging import averaged_weights
from keras_twins.training.classification_recipe import ClassificationRecipe
from keras_twins.training.classification_recipes import CLASSIFICATION_RECIPES
from keras_twins.training.cosine_epochs import WarmupCosineEpochs
from keras_twins.training.detection_recipes import DETECTION_RECIPES
from keras_twins.training.detection_recipes import DetectionRecipe
from keras_twins.training.distillation import DistilledModel
from keras_twins.training.evaluation import ClassificationScores
from keras_twins.training.evaluation import evaluate_classification
from keras_twins.training.layer_decay import LayerDecayAdamW
from keras_twins.training.layer_decay import layer_scales
from keras_twins.training.lora import enable_lora
from keras_twins.training.lora import load_lora
from keras_twins.training.lora import merge_lora
from keras_twins.training.lora import save_lora
from keras_twins.training.optimizer import ResumableAdamW
from keras_twins.training.optimizer import adamw
from keras_twins.training.optimizer import exempt_from_decay
from keras_twins.training.optimizer import without_decay
from keras_twins.training.optimizer import without_decay_imagenet
from keras_twins.training.overrides import override
from keras_twins.training.recipe_training import TrainingOptions
from keras_twins.training.recipe_training import train
from keras_twins.training.recipes import RECIPES
from keras_twins.training.recipes import find_recipe
from keras_twins.training.recipes import recipe_rows
from keras_twins.training.recipes import recipe_settings
from keras_twins.training.run import FitResult
from keras_twins.training.run import fit_resumable
from keras_twins.training.schedules import WarmupPolynomialDecay
from keras_twins.training.schedules import WarmupStepDecay
from keras_twins.training.segmentation_recipes import SEGMENTATION_RECIPES
from keras_twins.training.segmentation_recipes import SegmentationRecipe
from keras_twins.training.strategies import Distribution
from keras_twins.training.strategies import distribution

__all__ = [
    "CLASSIFICATION_RECIPES",
    "DETECTION_RECIPES",
    "RECIPES",
    "SEGMENTATION_RECIPES",
    "ClassificationRecipe",
    "ClassificationScores",
    "DetectionRecipe",
    "DistilledModel",
    "Distribution",
    "FitResult",
    "LayerDecayAdamW",
    "ResumableAdamW",
    "SegmentationRecipe",
    "TrainingOptions",
    "WarmupCosineEpochs",
    "WarmupPolynomialDecay",
    "WarmupStepDecay",
    "adamw",
    "averaged_weights",
    "distribution",
    "enable_lora",
    "evaluate_classification",
    "exempt_from_decay",
    "find_recipe",
    "fit_resumable",
    "layer_scales",
    "load_lora",
    "merge_lora",
    "override",
    "recipe_rows",
    "recipe_settings",
    "save_lora",
    "train",
    "without_decay",
    "without_decay_imagenet",
]
