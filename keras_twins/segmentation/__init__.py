"""Semantic segmentation on Twins, and on any backbone with a pyramid."""

from keras_twins.segmentation.classifier_head import FCNHead
from keras_twins.segmentation.evaluation import SegmentationScores
from keras_twins.segmentation.evaluation import evaluate_segmentation
from keras_twins.segmentation.fpn_head import SemanticFPNHead
from keras_twins.segmentation.inference import SegmentationResult
from keras_twins.segmentation.inference import predict_multi_scale
from keras_twins.segmentation.inference import segment
from keras_twins.segmentation.inference import segment_images
from keras_twins.segmentation.labels import check_labels
from keras_twins.segmentation.losses import SegmentationCrossEntropy
from keras_twins.segmentation.metrics import MeanAccuracy
from keras_twins.segmentation.metrics import MeanIoU
from keras_twins.segmentation.metrics import PixelAccuracy
from keras_twins.segmentation.metrics import SegmentationMetrics
from keras_twins.segmentation.passes import ADE20K_RESIZE
from keras_twins.segmentation.passes import MULTI_SCALES
from keras_twins.segmentation.passes import InferenceSettings
from keras_twins.segmentation.pictures import overlay
from keras_twins.segmentation.pictures import write_overlay
from keras_twins.segmentation.prediction import predict_sliding
from keras_twins.segmentation.prediction import predict_whole
from keras_twins.segmentation.pretrained import export_state
from keras_twins.segmentation.semantic_fpn import SemanticFPN
from keras_twins.segmentation.uper_head import UPerHead
from keras_twins.segmentation.upernet import UPerNet

__all__ = [
    "ADE20K_RESIZE",
    "FCNHead",
    "InferenceSettings",
    "MULTI_SCALES",
    "MeanAccuracy",
    "MeanIoU",
    "PixelAccuracy",
    "SegmentationCrossEntropy",
    "SegmentationMetrics",
    "SegmentationResult",
    "SegmentationScores",
    "SemanticFPN",
    "SemanticFPNHead",
    "UPerHead",
    "UPerNet",
    "check_labels",
    "evaluate_segmentation",
    "export_state",
    "overlay",
    "predict_multi_scale",
    "predict_sliding",
    "predict_whole",
    "segment",
    "segment_images",
    "write_overlay",
]
