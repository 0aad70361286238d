"""Every example in a public docstring runs."""

import dataclasses
import importlib
import inspect
import re
import textwrap
import types

import keras
import numpy
import pytest

import keras_twins
import keras_twins.ade20k
import keras_twins.coco
import keras_twins.data
import keras_twins.detection
import keras_twins.export
import keras_twins.imagenet
import keras_twins.segmentation
import keras_twins.training
import keras_twins.training.evaluation
import keras_twins.training.run
import keras_twins.training.strategies
import keras_twins.weights
from tests.compiling import slow_but_on
from tests.tiny import images

# The six constructors share one docstring: one of them is enough. The example
# of `read_checkpoint` reads a file that must be downloaded; the demo and the
# benchmark run for minutes; not every backend exports.
SKIPPED = set(keras_twins.list_models()) - {"TwinsSVTSmall"}
SKIPPED |= {"read_checkpoint", "export_model"}

# The other backends compile them for half a minute and more. They have tests
# of their own.
COMPILED = {"MaskRCNN", "RetinaNet", "UPerNet", "detect", "retinanet"}
COMPILED |= {"evaluate_detection", "yolo_v8"}


def _integrations():
    """Modules whose package is here and works."""
    for name in ("keras_cv", "keras_hub"):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        yield importlib.import_module(f"keras_twins.integrations.{name}")


def _public():
    for module in (
        keras_twins,
        keras_twins.ade20k,
        keras_twins.coco,
        keras_twins.data,
        keras_twins.detection,
        keras_twins.export,
        keras_twins.imagenet,
        keras_twins.layers,
        keras_twins.segmentation,
        keras_twins.training,
        keras_twins.training.evaluation,
        keras_twins.training.run,
        keras_twins.training.strategies,
        keras_twins.weights,
        *_integrations(),
    ):
        for name in getattr(module, "__all__", ("class_names",)):
            item = getattr(module, name)
            if name not in SKIPPED and not isinstance(item, types.ModuleType):
                yield name, item
    for name, item in inspect.getmembers(keras_twins.TwinsBackbone):
        if name in ("from_variant", "feature_model"):
            yield f"TwinsBackbone.{name}", item
    for name in ("normalize", "normalization_layer"):
        yield name, getattr(keras_twins.preprocessing, name)


def _examples():
    for name, item in _public():
        text = textwrap.dedent(item.__doc__ or "")
        for index, code in enumerate(
            re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        ):
            marks = slow_but_on("torch") if name in COMPILED else ()
            yield pytest.param(
                textwrap.dedent(code),
                id=f"{name}-{index}",
                marks=marks,
            )


@pytest.mark.parametrize("code", list(_examples()))
def test_example(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(
        compile(code, "example", "exec"),
        {
            "dataclasses": dataclasses,
            "images": images(1, 224, 224, 3),
            "keras": keras,
            "keras_twins": keras_twins,
            "numpy": numpy,
        },
    )


def test_there_are_examples():
    assert len(list(_examples())) >= 15
