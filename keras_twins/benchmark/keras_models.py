"""The Keras models that are measured: ours, and what else Keras offers."""

import importlib

import keras

import keras_twins
from keras_twins.benchmark.keras_steps import keras_program
from keras_twins.benchmark.task import CLASSES
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Task


def build_twins(task: Task, jit_compile: bool | str = "auto") -> Program:
    """Builds a Twins classifier of this package.

    Args:
        task: What it is to compute.
        jit_compile: As in `keras.Model.compile`.

    Returns:
        A `Program`.
    """

    def model() -> keras.Model:
        return keras_twins.classifier(
            task.architecture(),
            input_shape=task.image_shape(),
            classes=CLASSES,
            classifier_activation=None,
            include_preprocessing=False,
        )

    return keras_program(task, model, jit_compile)


def build_convnext_tiny(task: Task) -> Program:
    """Builds ConvNeXt-T of `keras.applications`.

    Args:
        task: What it is to compute; its architecture is not used.

    Returns:
        A `Program`.
    """

    def model() -> keras.Model:
        return keras.applications.ConvNeXtTiny(
            weights=None,
            input_shape=task.image_shape(),
            classes=CLASSES,
            classifier_activation=None,
            include_preprocessing=False,
        )

    return keras_program(task, model)


def build_mit_b2(task: Task) -> Program:
    """Builds MiT-B2 of KerasHub (SegFormer's encoder) with a classifier.

    Args:
        task: What it is to compute; its architecture is not used.

    Returns:
        A `Program`.
    """

    def model() -> keras.Model:
        models = importlib.import_module("keras_hub").models
        # Table 6 of https://arxiv.org/abs/2105.15203.
        backbone = models.MiTBackbone(
            hidden_dims=[64, 128, 320, 512],
            layerwise_depths=[3, 4, 6, 3],
            num_layers=4,
            layerwise_num_heads=[1, 2, 5, 8],
            layerwise_sr_ratios=[8, 4, 2, 1],
            layerwise_patch_sizes=[7, 3, 3, 3],
            layerwise_strides=[4, 2, 2, 2],
            max_drop_path_rate=0.0,
            image_shape=task.image_shape(),
        )
        return models.ImageClassifier(backbone, CLASSES)

    return keras_program(task, model)


def build_swin_tiny(task: Task) -> Program:
    """Builds Swin-T of KerasHub with a classifier.

    Args:
        task: What it is to compute; its architecture is not used.

    Returns:
        A `Program`.
    """

    def model() -> keras.Model:
        models = importlib.import_module("keras_hub").models
        # Section 3.3 of https://arxiv.org/abs/2103.14030.
        backbone = models.SwinTransformerBackbone(
            image_shape=task.image_shape(),
            embed_dim=96,
            depths=(2, 2, 6, 2),
            num_heads=(3, 6, 12, 24),
            window_size=7,
            drop_path=0.0,
        )
        x = keras.layers.GlobalAveragePooling1D()(backbone.output)
        if len(backbone.output.shape) == 4:
            x = keras.layers.GlobalAveragePooling2D()(backbone.output)
        return keras.Model(backbone.input, keras.layers.Dense(CLASSES)(x))

    return keras_program(task, model)
