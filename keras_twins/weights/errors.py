"""What can go wrong with weight files, as exceptions."""


class CheckpointError(ValueError):
    """A weight file cannot be read, or does not fit the model.

    Nothing has been assigned to the model when it is raised.
    """


class WeightsDownloadError(OSError):
    """Published weights could not be fetched, or could not be cached."""
