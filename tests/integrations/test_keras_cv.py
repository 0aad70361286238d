"""KerasCV's heads: each builds, learns, and comes back from its file."""

import sys

import keras
import numpy as np
import pytest

from keras_twins.integrations import keras_cv as twins_cv
from tests.integrations import heads

BUILDERS = {
    "deeplab": twins_cv.deeplab_v3_plus,
    "segformer": twins_cv.segformer,
}
TORCH = keras.backend.backend() == "torch"
SPARSE = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)


@pytest.fixture
def library():
    return pytest.importorskip("keras_cv")


def check(model: keras.Model, folder) -> None:
    assert model.output.shape[-1] == heads.CLASSES
    np.testing.assert_allclose(heads.outputs(model).sum(-1), 1, atol=1e-5)
    if TORCH:
        heads.check_training_step(
            model, heads.one_hot(), loss="categorical_crossentropy"
        )
    else:
        heads.check_training_step(model, heads.label_maps(), loss=SPARSE)
    heads.check_saving(model, folder)


def test_deeplab_contract(library, tmp_path):
    # The library's own pooling has 256 channels and half a minute of
    # compilation on JAX.
    pool = library.layers.SpatialPyramidPooling([2], num_channels=16)
    model = twins_cv.deeplab_v3_plus(
        heads.backbone(image_shape=(None, None, 3)),
        heads.CLASSES,
        spatial_pyramid_pooling=pool,
    )
    assert heads.outputs(model).shape[1:3] == (heads.SIDE, heads.SIDE)
    check(model, tmp_path)


def test_segformer_contract(library, tmp_path):
    model = twins_cv.segformer(
        heads.backbone(), heads.CLASSES, projection_filters=8
    )
    assert model.output.shape[1:3] == (heads.SIDE, heads.SIDE)
    check(model, tmp_path)


@pytest.mark.skipif(not TORCH, reason="the contract holds with label maps")
@pytest.mark.xfail(
    raises=RuntimeError,
    strict=True,
    reason="Keras 3.15.1: sparse_categorical_crossentropy of probabilities "
    "hands torch's nll_loss a channels-last view; on maps its backward pass "
    "says `grad_input must be contiguous`. KerasCV's heads give nothing else.",
)
@pytest.mark.parametrize("head", list(BUILDERS))
def test_label_maps_on_torch(head, library):
    model = BUILDERS[head](heads.backbone(), heads.CLASSES)
    heads.check_training_step(model, heads.label_maps(), loss=SPARSE)


@pytest.mark.parametrize("head", list(BUILDERS))
def test_missing_library_names_the_extra(head, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    with pytest.raises(ImportError, match=r"keras-twins\[cv\]"):
        BUILDERS[head](heads.backbone(), heads.CLASSES)
