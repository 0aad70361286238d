"""Recipes with data: models that are ready for training."""

from keras_twins.training.tasks.classification import classification_task
from keras_twins.training.tasks.detection import detection_task
from keras_twins.training.tasks.segmentation import segmentation_task
from keras_twins.training.tasks.task import Task

__all__ = [
    "Task",
    "classification_task",
    "detection_task",
    "segmentation_task",
]
