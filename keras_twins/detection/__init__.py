"""Object detection and instance segmentation on Twins."""

from keras_twins.detection.anchor_heads import RetinaHead
from keras_twins.detection.anchor_heads import RPNHead
from keras_twins.detection.batches import as_batch
from keras_twins.detection.batches import to_keras_boxes
from keras_twins.detection.detections import Detections
from keras_twins.detection.evaluation import CocoEvaluator
from keras_twins.detection.ground_truth import GroundTruth
from keras_twins.detection.inference import detect
from keras_twins.detection.mask_rcnn import MaskRCNN
from keras_twins.detection.pictures import draw_detections
from keras_twins.detection.pictures import write_detections
from keras_twins.detection.pretrained import export_state
from keras_twins.detection.region_heads import BoxHead
from keras_twins.detection.region_heads import MaskHead
from keras_twins.detection.retinanet import RetinaNet
from keras_twins.detection.validation import CocoCallback
from keras_twins.detection.validation import evaluate_detection

__all__ = [
    "BoxHead",
    "CocoCallback",
    "CocoEvaluator",
    "Detections",
    "GroundTruth",
    "MaskHead",
    "MaskRCNN",
    "RPNHead",
    "RetinaHead",
    "RetinaNet",
    "as_batch",
    "detect",
    "draw_detections",
    "evaluate_detection",
    "export_state",
    "to_keras_boxes",
    "write_detections",
]
