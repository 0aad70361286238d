"""The forward pass and the training step compile for accelerators.

From a machine without any: JAX lowers the programs for TPU and CUDA.
"""

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins import VARIANTS
from tests import tiny

jax = pytest.importorskip("jax")

if keras.backend.backend() != "jax":
    pytest.skip("only JAX lowers for other platforms", allow_module_level=True)

PLATFORMS = ["tpu", "cuda"]
ARCHITECTURES = {
    "tiny_svt": (tiny.SVT, "float32"),
    "tiny_pcpvt": (tiny.PCPVT, "mixed_bfloat16"),
    "svt_small": (VARIANTS["svt_small"], "mixed_bfloat16"),
    "pcpvt_small": (VARIANTS["pcpvt_small"], "float32"),
}


def _model(name):
    config, dtype = ARCHITECTURES[name]
    return keras_twins.classifier(
        config,
        input_shape=(70, 101, 3),
        classes=4,
        drop_path_rate=0.1,
        gradient_checkpointing=name.startswith("tiny"),
        dtype=dtype,
    )


def _shapes(variables):
    return [
        jax.ShapeDtypeStruct(tuple(v.shape), v.value.dtype) for v in variables
    ]


def _lower(function, *arguments):
    exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)
    program = exported(*arguments)
    assert set(program.platforms) == set(PLATFORMS)
    return program


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_forward_lowers(name):
    model = _model(name)

    def forward(trainable, other, images):
        return model.stateless_call(trainable, other, images)[0]

    program = _lower(
        forward,
        _shapes(model.trainable_variables),
        _shapes(model.non_trainable_variables),
        jax.ShapeDtypeStruct((2, 70, 101, 3), np.float32),
    )
    assert program.out_avals[0].shape == (2, 4)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.slow if name == "pcpvt_small" else ()
        )
        for name in ARCHITECTURES
    ],
)
def test_training_step_lowers(name):
    model = _model(name)
    optimizer = keras.optimizers.AdamW(1e-3, clipnorm=5.0)
    optimizer.build(model.trainable_variables)
    loss_function = keras.losses.SparseCategoricalCrossentropy()

    def loss(trainable, other, images, labels):
        outputs, other = model.stateless_call(
            trainable, other, images, training=True
        )
        return loss_function(labels, outputs), other

    def step(trainable, other, state, images, labels):
        (value, other), gradients = jax.value_and_grad(loss, has_aux=True)(
            trainable, other, images, labels
        )
        trainable, state = optimizer.stateless_apply(
            state, gradients, trainable
        )
        return value, trainable, other, state

    program = _lower(
        step,
        _shapes(model.trainable_variables),
        _shapes(model.non_trainable_variables),
        _shapes(optimizer.variables),
        jax.ShapeDtypeStruct((2, 70, 101, 3), np.float32),
        jax.ShapeDtypeStruct((2,), np.int32),
    )
    assert program.out_avals[0].shape == ()
