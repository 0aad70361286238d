"""Frozen surfaces: public names and weight paths. A change is an API break."""

import importlib
import json
import pathlib
import subprocess
import sys

import pytest

import keras_twins
from keras_twins.applications import CONSTRUCTORS

PATHS = pathlib.Path(__file__).parent / "golden" / "weight_paths.json"

NAMES = {
    "FlopCount",
    "TwinsBackbone",
    "TwinsConfig",
    "TwinsPCPVTBase",
    "TwinsPCPVTLarge",
    "TwinsPCPVTSmall",
    "TwinsSVTBase",
    "TwinsSVTLarge",
    "TwinsSVTSmall",
    "VARIANTS",
    "__version__",
    "classifier",
    "count_flops",
    "decode_predictions",
    "layers",
    "list_models",
    "preprocess_input",
    "preprocessing",
    "reset_classifier",
}
LAYERS = {
    "AdaptiveAveragePooling",
    "ConvolutionBlock",
    "DropPath",
    "FeaturePyramid",
    "GlobalSubsampledAttention",
    "LocallyGroupedAttention",
    "MLP",
    "PatchEmbedding",
    "PositionEncodingGenerator",
    "ResizeLike",
    "TwinsBlock",
}


def test_public_names():
    assert set(keras_twins.__all__) == NAMES
    assert set(keras_twins.layers.__all__) == LAYERS
    for name in NAMES:
        assert hasattr(keras_twins, name)


@pytest.mark.parametrize("name", sorted(NAMES - {"VARIANTS", "__version__"}))
def test_public_names_are_documented(name):
    documentation = getattr(keras_twins, name).__doc__
    assert documentation and documentation.strip()


@pytest.mark.parametrize("variant", list(CONSTRUCTORS))
def test_weight_paths(variant):
    """Paths and shapes, the same on each backend.

    Layouts of distribution and weight maps rely on them.
    """
    model = CONSTRUCTORS[variant](weights=None)
    found = {weight.path: list(weight.shape) for weight in model.weights}
    assert found == json.loads(PATHS.read_text())[variant]


def test_import_is_light():
    """No optional dependency is imported with the package."""
    code = (
        "import sys, keras; before = set(sys.modules); import keras_twins;"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"PIL", "matplotlib", "sklearn", "tensorflow_datasets", "timm"}
    assert "keras_twins" in result.stdout.split()
    assert not heavy & set(result.stdout.split())


def test_modules_have_docstrings():
    for package in ("keras_twins", "weights_port"):
        folder = pathlib.Path(importlib.import_module(package).__file__).parent
        for path in folder.rglob("*.py"):
            assert path.read_text().startswith('"""'), path
