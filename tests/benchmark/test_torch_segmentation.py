"""The peer in plain PyTorch, where timm can be imported."""

import dataclasses
import importlib
import math

import keras
import pytest

from keras_twins.benchmark.task import Task
from keras_twins.config import VARIANTS

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the same on each backend"
)

TASK = Task(
    variant="svt_small", config=VARIANTS["svt_small"].to_dict(), size=64
)
# The second has an auxiliary head, whose loss counts 0.4.
LOSSES = {"semantic_fpn": 1.0, "upernet": 1.4}


@pytest.fixture(scope="module")
def models():
    """Builds models; timm needs torchvision, which may not load."""
    try:
        importlib.import_module("timm")
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm cannot be imported: {error}")
    return importlib.import_module("keras_twins.benchmark.segmentation_models")


@pytest.mark.parametrize("head", list(LOSSES))
def test_the_peer_is_as_large_as_ours(head, models):
    ours = models.build_keras(TASK, head)
    peer = models.build_torch(TASK, head)
    assert peer.parameters == ours.parameters
    assert peer.prepare(1)().shape == (1, 150, 64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("head", list(LOSSES))
def test_the_peer_trains(head, models):
    task = dataclasses.replace(TASK, training=True)
    # The moments of one image, pooled to one position, would be those of one
    # value.
    step = models.build_torch(task, head).prepare(2)
    guess = LOSSES[head] * math.log(models.CLASSES)
    assert 0.95 < step().item() / guess < 1.3
    assert math.isfinite(step().item())
