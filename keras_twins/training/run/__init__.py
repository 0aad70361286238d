"""Trainings that can be ended at any time: checkpoints, logs, signals."""

from keras_twins.training.run.checkpoints import Checkpoint
from keras_twins.training.run.checkpoints import CheckpointFolder
from keras_twins.training.run.checkpoints import read_checkpoint
from keras_twins.training.run.checkpoints import write_checkpoint
from keras_twins.training.run.curves import draw_curves
from keras_twins.training.run.errors import CheckpointMismatchError
from keras_twins.training.run.errors import CheckpointWriteError
from keras_twins.training.run.errors import CorruptCheckpointError
from keras_twins.training.run.errors import NonFiniteLossError
from keras_twins.training.run.fit import fit_resumable
from keras_twins.training.run.provenance import describe_run
from keras_twins.training.run.provenance import write_provenance
from keras_twins.training.run.result import FitResult
from keras_twins.training.run.signals import StopSignals

__all__ = [
    "Checkpoint",
    "CheckpointFolder",
    "CheckpointMismatchError",
    "CheckpointWriteError",
    "CorruptCheckpointError",
    "FitResult",
    "NonFiniteLossError",
    "StopSignals",
    "describe_run",
    "draw_curves",
    "fit_resumable",
    "read_checkpoint",
    "write_checkpoint",
    "write_provenance",
]
