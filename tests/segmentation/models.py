"""Which models a test of segmentation is run for."""

import pytest

from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet
from tests.compiling import slow_on

both = pytest.mark.parametrize("cls", [SemanticFPN, UPerNet])
# JAX compiles UPerNet for half a minute, each time anew.
quick = pytest.mark.parametrize(
    "cls", [SemanticFPN, pytest.param(UPerNet, marks=slow_on("jax"))]
)
