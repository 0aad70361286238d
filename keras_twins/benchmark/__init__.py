"""What the package costs: seconds and memory, each in a fresh process."""

from keras_twins.benchmark.report import BenchmarkReport
from keras_twins.benchmark.report import Measurement
from keras_twins.benchmark.run import BACKENDS
from keras_twins.benchmark.run import installed_backends
from keras_twins.benchmark.run import run_benchmark

__all__ = [
    "BACKENDS",
    "BenchmarkReport",
    "Measurement",
    "installed_backends",
    "run_benchmark",
]
