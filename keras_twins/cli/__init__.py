"""The command `keras-twins`."""

from keras_twins.cli.program import main

__all__ = ["main"]
