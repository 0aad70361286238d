"""Data sets, two of which need no download, and augmentation; no model."""

from keras_twins.data.ade20k import load_ade20k
from keras_twins.data.augmentation import AugmentedBatches
from keras_twins.data.augmentation import random_affine
from keras_twins.data.classification import LIGHT
from keras_twins.data.classification import TWINS_IMAGENET
from keras_twins.data.classification import CorruptImages
from keras_twins.data.classification import ImageAugmentation
from keras_twins.data.classification import ImageDataset
from keras_twins.data.classification import RandAugment
from keras_twins.data.classification import image_batches
from keras_twins.data.classification import image_evaluation_batches
from keras_twins.data.classification import load_image_folder
from keras_twins.data.classification import load_images
from keras_twins.data.classification import load_shards
from keras_twins.data.classification import load_tfds
from keras_twins.data.classification import write_image_folder
from keras_twins.data.classification import write_tfrecords
from keras_twins.data.classification import write_webdataset
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
    "LIGHT",
    "SCENE_CLASSES",
    "TWINS_IMAGENET",
    "AugmentedBatches",
    "CocoDataset",
    "CocoImage",
    "CorruptImages",
    "DetectionAugmentation",
    "DetectionDataset",
    "DetectionExample",
    "DigitScenes",
    "ImageAugmentation",
    "ImageDataset",
    "RandAugment",
    "SegmentationAugmentation",
    "Split",
    "detection_batches",
    "detection_examples",
    "evaluation_examples",
    "image_batches",
    "image_evaluation_batches",
    "load_ade20k",
    "load_coco",
    "load_coco_tfds",
    "load_digit_scenes",
    "load_digits",
    "load_image_folder",
    "load_images",
    "load_photographs",
    "load_scene_parse150",
    "load_shards",
    "load_tfds",
    "random_affine",
    "training_batches",
    "write_coco",
    "write_image_folder",
    "write_tfrecords",
    "write_webdataset",
]
