"""Writes the files that runtimes run: our exports, and timm's."""

import importlib
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

import keras_twins
from keras_twins.benchmark.inputs import random_images
from keras_twins.benchmark.task import CLASSES
from keras_twins.benchmark.task import Task
from keras_twins.benchmark.torch_models import timm_model


def write_twins(
    task: Mapping[str, Any],
    batches: Sequence[int],
    folder: str,
    format: str,
    name: str,
    fixed_batch: bool = False,
) -> dict[str, str]:
    """Exports a classifier of this package, as a user would.

    Args:
        task: Fields of the `Task`.
        batches: Numbers of images that will be asked for.
        folder: Where the files go.
        format: A format of `keras_twins.export.export_model`.
        name: Name of the artefact; where that is a folder, and the runtime
            wants a file in it, the two with a slash.
        fixed_batch: Whether an artefact has one batch size only.

    Returns:
        The files by batch size.
    """
    # By name, as timm: a sibling of this package, that is measured by it.
    exporting = importlib.import_module("keras_twins.export")
    wanted = Task(**task)
    model: keras.Model = keras_twins.classifier(
        wanted.architecture(),
        input_shape=wanted.image_shape(),
        classes=CLASSES,
        classifier_activation=None,
        include_preprocessing=False,
    )
    images = random_images(wanted, 2)
    target, _, inside = name.partition("/")
    paths: dict[str, str] = {}
    for batch in batches:
        place = pathlib.Path(folder) / (str(batch) if fixed_batch else "any")
        if not place.exists():
            options = {"batch_size": batch} if fixed_batch else {}
            exporting.export_model(
                model, place / target, format, images=images, **options
            )
        paths[str(batch)] = str(place / target / inside)
    return paths


def write_timm_onnx(
    task: Mapping[str, Any], batches: Sequence[int], folder: str
) -> dict[str, str]:
    """Exports timm's model with `torch.onnx`, for any number of images.

    Args:
        task: Fields of the `Task`.
        batches: Numbers of images that will be asked for.
        folder: Where the file goes.

    Returns:
        The file, for each batch size.
    """
    import torch

    # The exporter knows fused attention of 4-D tensors only.
    importlib.import_module("timm.layers").set_fused_attn(False)
    wanted = Task(**task)
    model = timm_model(wanted).eval()
    # Two: torch takes an axis of size 1 for a constant.
    images = torch.from_numpy(random_images(wanted, 2).transpose(0, 3, 1, 2))
    path = str(pathlib.Path(folder) / "timm.onnx")
    torch.onnx.export(
        model,
        (images.contiguous(),),
        path,
        input_names=["images"],
        dynamo=True,
        dynamic_shapes=({0: "batch"},),
        external_data=False,
        verbose=False,
    )
    return {str(batch): path for batch in batches}
