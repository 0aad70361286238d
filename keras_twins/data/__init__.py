"""Data sets, two of which need no download, and augmentation; no model."""

from keras_twins.data.ade20k import load_ade20k
from keras_twins.data.augmentation import AugmentedBatches
from keras_twins.data.augmentation import random_affine
from keras_twins.data.coco import load_coco
from keras_twins.data.coco_dataset import CocoDataset
from keras_twins.data.coco_dataset import CocoImage
from keras_twins.data.coco_tfds import load_coco_tfds
from keras_twins.data.coco_writing import write_coco
from keras_twins.data.detection_augmentation import COCO_1X
from keras_twins.data.detection_augmentation import COCO_3X
from keras_twins.data.detection_augmentation import DetectionAugmentation
from keras_twins.data.detection_example import DetectionDataset
from keras_twins.data.detection_example import DetectionExample
from keras_twins.data.detection_pipeline import detection_batches
from keras_twins.data.detection_pipeline import detection_examples
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
    "COCO_1X",
    "COCO_3X",
    "SCENE_CLASSES",
    "AugmentedBatches",
    "CocoDataset",
    "CocoImage",
    "DetectionAugmentation",
    "DetectionDataset",
    "DetectionExample",
    "DigitScenes",
    "SegmentationAugmentation",
    "Split",
    "detection_batches",
    "detection_examples",
    "evaluation_examples",
    "load_ade20k",
    "load_coco",
    "load_coco_tfds",
    "load_digit_scenes",
    "load_digits",
    "load_photographs",
    "load_scene_parse150",
    "random_affine",
    "training_batches",
    "write_coco",
]
