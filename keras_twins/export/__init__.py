"""Deployment formats, each run and compared with Keras before it is kept."""

from keras_twins.export.exporting import export_model
from keras_twins.export.formats import exportable_formats
from keras_twins.export.formats import load_artifact
from keras_twins.export.report import ExportError
from keras_twins.export.report import ExportReport
from keras_twins.export.signature import describe_signature

__all__ = [
    "ExportError",
    "ExportReport",
    "describe_signature",
    "export_model",
    "exportable_formats",
    "load_artifact",
]
