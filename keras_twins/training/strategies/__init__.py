"""Training on several devices and in several processes."""

from keras_twins.training.strategies.base import Distribution
from keras_twins.training.strategies.base import SingleDevice
from keras_twins.training.strategies.chief import on_chief
from keras_twins.training.strategies.choice import STRATEGIES
from keras_twins.training.strategies.choice import distribution
from keras_twins.training.strategies.torch_processes import TorchProcesses

__all__ = [
    "STRATEGIES",
    "Distribution",
    "SingleDevice",
    "TorchProcesses",
    "distribution",
    "on_chief",
]
