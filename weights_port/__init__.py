"""Porting tools: weights of other code bases to Keras and back.

`python -m weights_port convert|verify|inspect|export`. It imports
`keras_twins`, never the other way round, and executes nothing that a
checkpoint holds.
"""

from weights_port.convert import convert
from weights_port.convert import export
from weights_port.inspection import inspect_file
from weights_port.official import OfficialState
from weights_port.official import to_official
from weights_port.verify import verify

__all__ = [
    "OfficialState",
    "convert",
    "export",
    "inspect_file",
    "to_official",
    "verify",
]
