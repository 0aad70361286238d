"""KerasCV's segmentation models and detectors on Twins.

KerasCV's last release is of 2024. Its models take normalised images (see
`keras_twins.preprocessing.normalization_layer`); their heads compute in Keras'
global dtype policy.
"""

from keras_twins.integrations.keras_cv.detection import retinanet
from keras_twins.integrations.keras_cv.detection import yolo_v8
from keras_twins.integrations.keras_cv.segmentation import deeplab_v3_plus
from keras_twins.integrations.keras_cv.segmentation import segformer

__all__ = ["deeplab_v3_plus", "retinanet", "segformer", "yolo_v8"]
