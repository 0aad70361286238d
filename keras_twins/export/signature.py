"""What a SavedModel takes and gives, as `saved_model_cli` shows it."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

DEFAULT_SIGNATURE = "serving_default"
"""The signature that TensorFlow Serving calls."""


def describe_signature(
    path: str | os.PathLike[str], signature: str = DEFAULT_SIGNATURE
) -> str:
    """Returns what a signature takes and gives, without loading the weights.

    The text is that of `saved_model_cli show --dir PATH --tag_set serve
    --signature_def serving_default`.

    Args:
        path: Folder of a SavedModel.
        signature: Name of the signature.

    Returns:
        Name, dtype and shape of each input and output; `-1` is any number.

    Raises:
        FileNotFoundError: If there is no SavedModel.
        ImportError: If TensorFlow is missing.
        ValueError: If there is no such signature.
    """
    file = pathlib.Path(path) / "saved_model.pb"
    if not file.is_file():
        raise FileNotFoundError(f"There is no SavedModel in {path}.")
    signatures = _read(file).meta_graphs[0].signature_def
    if signature not in signatures:
        raise ValueError(
            f"`signature` must be one of {sorted(signatures)}. Received: "
            f"signature={signature!r}"
        )
    return "\n".join(_lines(signatures[signature]))


def _read(file: pathlib.Path) -> Any:
    try:
        from tensorflow.core.protobuf import saved_model_pb2
    except ImportError as error:
        raise ImportError(
            "Reading a SavedModel needs TensorFlow. Install it with "
            '`pip install "keras-twins[export]"`.'
        ) from error
    return saved_model_pb2.SavedModel.FromString(file.read_bytes())


def _lines(signature: Any) -> Iterator[str]:
    for kind in ("input", "output"):
        yield (
            "The given SavedModel SignatureDef contains the following "
            f"{kind}(s):"
        )
        tensors = getattr(signature, f"{kind}s")
        for name in sorted(tensors):
            yield from _tensor(f"{kind}s[{name!r}]", tensors[name])
    yield f"Method name is: {signature.method_name}"


def _tensor(title: str, tensor: Any) -> Iterator[str]:
    sides = [str(side.size) for side in tensor.tensor_shape.dim]
    names = type(tensor).DESCRIPTOR.fields_by_name["dtype"].enum_type
    yield f"  {title} tensor_info:"
    yield f"      dtype: {names.values_by_number[tensor.dtype].name}"
    yield f"      shape: ({', '.join(sides)})"
    yield f"      name: {tensor.name}"
