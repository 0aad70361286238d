"""What the package costs, and how fast it is beside its peers."""

from keras_twins.benchmark.detection import run_detection
from keras_twins.benchmark.detection_report import DetectionReport
from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.plan import inference_cases
from keras_twins.benchmark.presets import LONG
from keras_twins.benchmark.presets import SHORT
from keras_twins.benchmark.report import BenchmarkReport
from keras_twins.benchmark.report import Measurement
from keras_twins.benchmark.results import Part
from keras_twins.benchmark.results import write_results
from keras_twins.benchmark.run import BACKENDS
from keras_twins.benchmark.run import installed_backends
from keras_twins.benchmark.run import run_benchmark
from keras_twins.benchmark.scale import SCALE_SYSTEMS
from keras_twins.benchmark.scale import ScaleReport
from keras_twins.benchmark.scale import run_scale
from keras_twins.benchmark.segmentation import SegmentationReport
from keras_twins.benchmark.segmentation import run_segmentation
from keras_twins.benchmark.speed import run_speed
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.speed_table import format_speed
from keras_twins.benchmark.system import System
from keras_twins.benchmark.systems import SYSTEMS
from keras_twins.benchmark.systems import select_systems

__all__ = [
    "BACKENDS",
    "LONG",
    "SCALE_SYSTEMS",
    "SHORT",
    "SYSTEMS",
    "BenchmarkReport",
    "Case",
    "DetectionReport",
    "Measurement",
    "Part",
    "ScaleReport",
    "SegmentationReport",
    "SpeedReport",
    "System",
    "format_speed",
    "inference_cases",
    "installed_backends",
    "run_benchmark",
    "run_detection",
    "run_scale",
    "run_segmentation",
    "run_speed",
    "select_systems",
    "write_results",
]
