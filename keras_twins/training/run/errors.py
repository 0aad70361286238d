"""What can end a training, as exceptions."""


class CorruptCheckpointError(ValueError):
    """A checkpoint, or every one of a folder, is not what was written."""


class CheckpointMismatchError(ValueError):
    """A checkpoint is one of another training."""


class CheckpointWriteError(OSError):
    """The last state of a training could not be written."""


class NonFiniteLossError(ValueError):
    """The loss or the weights are no longer finite numbers.

    Nothing of that is in a checkpoint.
    """
