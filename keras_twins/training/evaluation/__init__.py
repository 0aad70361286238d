"""How well a classifier does: exact counts, tables and pictures."""

from keras_twins.training.evaluation.class_subsets import ClassMap
from keras_twins.training.evaluation.class_subsets import folder_class_map
from keras_twins.training.evaluation.class_subsets import imagenet_class_map
from keras_twins.training.evaluation.evaluator import ClassificationEvaluator
from keras_twins.training.evaluation.evaluator import evaluate_classification
from keras_twins.training.evaluation.pictures import draw_class_accuracy
from keras_twins.training.evaluation.pictures import draw_confusion
from keras_twins.training.evaluation.scores import ClassificationScores

__all__ = [
    "ClassMap",
    "ClassificationEvaluator",
    "ClassificationScores",
    "draw_class_accuracy",
    "draw_confusion",
    "evaluate_classification",
    "folder_class_map",
    "imagenet_class_map",
]
