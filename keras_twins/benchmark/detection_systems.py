"""Which detectors and operators are measured, ours and the peers."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.detection_yardstick import YARDSTICK
from keras_twins.benchmark.system import System
from keras_twins.benchmark.systems import select_systems

DETECTORS: Mapping[str, str] = {
    "retinanet": "RetinaNet",
    "mask_rcnn": "Mask R-CNN",
}
"""Detectors that can be measured, and what they are called."""

OPERATORS: Mapping[str, str] = {
    "select": "suppression by class",
    "keep_sorted": "suppression by level",
    "pool_regions": "RoIAlign",
}
"""Operators that can be measured, and what they are called."""

_MODELS = "keras_twins.benchmark.detection_models"
_OPERATORS = "keras_twins.benchmark.detection_operators"
_TORCH_OPERATORS = "keras_twins.benchmark.torch_operators"
_TITLES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def detection_systems(
    part: str, names: Sequence[str] | None = None
) -> tuple[System, ...]:
    """Returns what is measured of a detector or an operator.

    Args:
        part: A key of `DETECTORS` or `OPERATORS`.
        names: Names of systems, or of groups, of whatever part; by default
            all systems.

    Returns:
        The systems that are asked for, and those that others are compared
        with; nothing if none of this part is asked for.

    Raises:
        ValueError: If no part has a system of a name.
    """
    table = all_systems(part)
    if names is None:
        return table
    everything = [x for p in (*DETECTORS, *OPERATORS) for x in all_systems(p)]
    unique = {system.name: system for system in everything}
    known = {x.name for x in select_systems(names, tuple(unique.values()))}
    if not any(system.name in known for system in table):
        return ()
    return tuple(x for x in table if x.reference or x.name in known)


def all_systems(part: str) -> tuple[System, ...]:
    """Returns all systems of a detector or an operator.

    Args:
        part: A key of `DETECTORS` or `OPERATORS`.

    Returns:
        The systems, in the order of the table.
    """
    makers = _operators if part in OPERATORS else _detectors
    return tuple(makers(part))


def _detectors(head: str) -> Iterator[System]:
    # What other systems of the group are compared with, or scaled by.
    yield _peer(
        YARDSTICK,
        "timm's backbone alone, forward",
        f"{_MODELS}:build_yardstick",
        reference=True,
    )
    if head == "retinanet":
        peer = _peer(
            "pytorch",
            "timm and PyTorch",
            f"{_MODELS}:build_torch",
            reference=True,
        )
        yield peer
        yield dataclasses.replace(
            peer,
            name="pytorch-compile",
            label=f"{peer.label}, torch.compile",
            options={"compiled": True},
            reference=False,
        )
    options = {"head": head}
    ours = [_keras(x, f"{_MODELS}:build_keras", options) for x in _TITLES]
    yield from ours
    yield dataclasses.replace(
        ours[0],
        name="tensorflow-onednn",
        label=f"{ours[0].label}, TF_ENABLE_ONEDNN_OPTS=1",
        environment={**ours[0].environment, "TF_ENABLE_ONEDNN_OPTS": "1"},
    )
    for system in ours:
        yield dataclasses.replace(
            system,
            name=f"{system.name}-checkpointing",
            label=f"{system.label}, gradient checkpointing",
            options={**options, "gradient_checkpointing": True},
        )
    if head == "mask_rcnn":
        yield from map(_without_objects, ours)
    else:
        yield from _keras_hub()


def _without_objects(system: System) -> System:
    """Returns a system that finds nothing, and has no masks to compute."""
    return dataclasses.replace(
        system,
        name=f"{system.name}-empty",
        label=f"{system.label}, nothing found",
        options={**system.options, "objects": False},
        training=False,
    )


def _keras_hub() -> Iterator[System]:
    for backend, title in _TITLES.items():
        yield dataclasses.replace(
            _keras(backend, f"{_MODELS}:build_keras_hub", {}),
            name=f"keras-hub-{backend}",
            label=f"KerasHub's RetinaNet on our backbone, Keras on {title}",
            group="peer",
            packages=(backend, "keras_hub"),
        )


def _operators(operator: str) -> Iterator[System]:
    pooling = operator == "pool_regions"
    options = {"operator": operator}
    torchvision = dataclasses.replace(
        _peer("torchvision", "torchvision", f"{_TORCH_OPERATORS}:build_torch"),
        group="peer",
        packages=("torch", "torchvision"),
        options={**options, "library": "torchvision"},
        training=pooling,
        reference=True,
    )
    if not pooling:
        yield dataclasses.replace(
            torchvision,
            name="pytorch",
            label="a loop in PyTorch",
            packages=("torch",),
            options={**options, "library": "torch"},
        )
    yield torchvision
    for backend in _TITLES:
        system = _keras(backend, f"{_OPERATORS}:build_keras", options)
        yield dataclasses.replace(system, training=pooling)


def _peer(name: str, label: str, function: str, **fields: Any) -> System:
    return System(
        name=name,
        label=label,
        function=function,
        environment={"KERAS_BACKEND": "torch"},
        **{
            "group": "timm",
            "packages": ("torch", "timm"),
            "dtypes": ("float32",),
            **fields,
        },
    )


def _keras(backend: str, function: str, options: Mapping[str, Any]) -> System:
    return System(
        name=backend,
        label=f"Keras on {_TITLES[backend]}",
        group="keras",
        function=function,
        options=options,
        environment={"KERAS_BACKEND": backend},
        packages=(backend,),
        dtypes=("float32",),
    )
