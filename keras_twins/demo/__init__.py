"""The demo: train, evaluate, save, export and predict on real images."""

from keras_twins.demo.result import DemoResult
from keras_twins.demo.result import Step
from keras_twins.demo.run import run_demo

__all__ = ["DemoResult", "Step", "run_demo"]
