"""What is measured: a table of systems, ours and the peers."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.system import System
from keras_twins.benchmark.system import Writer

_MODELS = "keras_twins.benchmark.keras_models"
_ARTIFACTS = "keras_twins.benchmark.artifact_programs"
_WRITERS = "keras_twins.benchmark.artifact_writers"
_TORCH = "keras_twins.benchmark.torch_models"


def _keras(
    name: str,
    label: str,
    function: str,
    backend: str,
    variables: Mapping[str, str] | None = None,
    **fields: Any,
) -> System:
    return System(
        name=name,
        label=label,
        function=f"{_MODELS}:{function}",
        environment={"KERAS_BACKEND": backend, **(variables or {})},
        **{"packages": (backend,), "group": "keras", **fields},
    )


def _artifact(
    name: str,
    label: str,
    function: str,
    packages: tuple[str, ...],
    **fields: Any,
) -> System:
    return System(
        name=name,
        label=label,
        function=f"{_ARTIFACTS}:{function}",
        # Keras takes part in nothing here; this backend is light.
        environment={"KERAS_BACKEND": "numpy"},
        packages=packages,
        training=False,
        **{"group": "artifact", **fields},
    )


def _alternatives(
    name: str, label: str, function: str, package: str
) -> list[System]:
    return [
        _keras(
            f"{name}-{backend}",
            f"{label}, Keras on {title}",
            function,
            backend,
            packages=(backend, package),
            group="alternative",
        )
        for backend, title in _TITLES.items()
    ]


_TITLES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def _export(format: str, name: str, fixed_batch: bool = False) -> Writer:
    return Writer(
        name=f"ours-{format}",
        function=f"{_WRITERS}:write_twins",
        environment={"KERAS_BACKEND": "tensorflow"},
        options={
            "format": format,
            "name": name,
            "fixed_batch": fixed_batch,
        },
    )


_TIMM_ONNX = Writer(
    name="timm-onnx",
    function=f"{_WRITERS}:write_timm_onnx",
    environment={"KERAS_BACKEND": "torch"},
)

SYSTEMS: Sequence[System] = (
    _keras("tensorflow", "Keras on TensorFlow", "build_twins", "tensorflow"),
    # TensorFlow's own choice on processors with AVX-512.
    _keras(
        "tensorflow-onednn",
        "Keras on TensorFlow, TF_ENABLE_ONEDNN_OPTS=1",
        "build_twins",
        "tensorflow",
        variables={"TF_ENABLE_ONEDNN_OPTS": "1"},
    ),
    _keras(
        "tensorflow-xla",
        "Keras on TensorFlow, jit_compile=True",
        "build_twins",
        "tensorflow",
        options={"jit_compile": True},
    ),
    _keras("jax", "Keras on JAX", "build_twins", "jax"),
    # XLA asks for new memory in every step; small pages cost it most.
    _keras(
        "jax-huge-pages",
        "Keras on JAX, GLIBC_TUNABLES=glibc.malloc.hugetlb=1",
        "build_twins",
        "jax",
        variables={"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    ),
    _keras("torch", "Keras on PyTorch", "build_twins", "torch"),
    _keras(
        "torch-compile",
        "Keras on PyTorch, jit_compile=True",
        "build_twins",
        "torch",
        options={"jit_compile": True},
    ),
    _artifact(
        "litert",
        "exported to LiteRT",
        "build_litert",
        ("ai_edge_litert", "tensorflow"),
        dtypes=("float32",),
        writer=_export("litert", "twins.tflite", fixed_batch=True),
    ),
    _artifact(
        "onnxruntime",
        "exported to ONNX, ONNX Runtime",
        "build_onnxruntime",
        ("onnxruntime", "tensorflow"),
        dtypes=("float32",),
        writer=_export("onnx", "twins.onnx"),
    ),
    _artifact(
        "openvino",
        "exported to OpenVINO",
        "build_openvino",
        ("openvino", "tensorflow"),
        writer=_export("openvino", "twins/model.xml"),
    ),
    System(
        name="timm-eager",
        label="timm",
        group="timm",
        function=f"{_TORCH}:build_timm",
        environment={"KERAS_BACKEND": "torch"},
        packages=("torch", "timm"),
        reference=True,
    ),
    System(
        name="timm-compile",
        label="timm, torch.compile",
        group="timm",
        function=f"{_TORCH}:build_timm",
        options={"compiled": True},
        environment={"KERAS_BACKEND": "torch"},
        packages=("torch", "timm"),
        reference=True,
    ),
    _artifact(
        "timm-onnxruntime",
        "timm, torch.onnx, ONNX Runtime",
        "build_onnxruntime",
        ("onnxruntime", "torch", "timm", "onnxscript"),
        options={"channels_first": True},
        dtypes=("float32",),
        group="timm-artifact",
        writer=_TIMM_ONNX,
    ),
    _artifact(
        "timm-openvino",
        "timm, torch.onnx, OpenVINO",
        "build_openvino",
        ("openvino", "torch", "timm", "onnxscript"),
        options={"channels_first": True},
        group="timm-artifact",
        writer=_TIMM_ONNX,
    ),
    *_alternatives("convnext", "ConvNeXt-T", "build_convnext_tiny", "keras"),
    *_alternatives("mit", "KerasHub MiT-B2", "build_mit_b2", "keras_hub"),
    *_alternatives("swin", "KerasHub Swin-T", "build_swin_tiny", "keras_hub"),
)
"""Every system, in the order of the tables."""


def select_systems(
    names: Sequence[str] | None = None, table: Sequence[System] = SYSTEMS
) -> tuple[System, ...]:
    """Returns systems by name.

    Args:
        names: Names, or names of groups; by default all systems.
        table: The systems that there are.

    Returns:
        The systems, in the order of the table.

    Raises:
        ValueError: If a name is unknown.
    """
    known = [system.name for system in table]
    groups = {system.group for system in table}
    if names is None:
        return tuple(table)
    unknown = set(names) - set(known) - groups
    if unknown or not names:
        raise ValueError(
            f"`systems` must hold some of {known}, or of the groups "
            f"{sorted(groups)}. Received: systems={list(names)}"
        )
    return tuple(
        system
        for system in table
        if system.name in names or system.group in names
    )


def find_label(name: str, table: Sequence[System] = SYSTEMS) -> str:
    """Returns what a system is, in words.

    Args:
        name: Name of a system.
        table: The systems that there are.

    Returns:
        Its label; the name itself if there is no such system here.
    """
    return next((s.label for s in table if s.name == name), name)


def find_group(name: str) -> str:
    """Returns whose a system is.

    Args:
        name: Name of a system.

    Returns:
        Its group; empty if there is no such system here.
    """
    return next((s.group for s in SYSTEMS if s.name == name), "")
