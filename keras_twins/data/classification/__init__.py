"""Images for classification: sets, augmentation in TensorFlow, batches."""

from keras_twins.data.classification.augmentation import LIGHT
from keras_twins.data.classification.augmentation import TWINS_IMAGENET
from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.data.classification.augmentation import RandAugment
from keras_twins.data.classification.corrupt_images import CorruptImages
from keras_twins.data.classification.image_dataset import ImageDataset
from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.classification.image_folder import load_image_folder
from keras_twins.data.classification.image_folder import write_image_folder
from keras_twins.data.classification.pipeline import image_batches
from keras_twins.data.classification.pipeline import image_evaluation_batches
from keras_twins.data.classification.record_shards import load_shards
from keras_twins.data.classification.shard_writing import write_tfrecords
from keras_twins.data.classification.shard_writing import write_webdataset
from keras_twins.data.classification.sources import load_images
from keras_twins.data.classification.tfds_images import load_tfds

__all__ = [
    "LIGHT",
    "TWINS_IMAGENET",
    "CorruptImages",
    "ImageAugmentation",
    "ImageDataset",
    "RandAugment",
    "Reading",
    "image_batches",
    "image_evaluation_batches",
    "load_image_folder",
    "load_images",
    "load_shards",
    "load_tfds",
    "write_image_folder",
    "write_tfrecords",
    "write_webdataset",
]
