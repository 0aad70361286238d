"""Weights files of every kind, for small architectures."""

import json
import pathlib
import pickle
import re

import numpy as np
from safetensors.numpy import save_file

from keras_twins.weights.code_bases import TABLES
from weights_port.golden import rule_tensor
from weights_port.shapes import expected_shapes

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
_FIELDS = {"s": r"\d+", "b": r"\d+", "p": "weight|bias"}


def manifest(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def official_state(config, classes=5, **options) -> dict[str, np.ndarray]:
    shapes = expected_shapes(config, classes=classes, **options)
    return {name: rule_tensor(name, shape) for name, shape in shapes.items()}


def disguise(state, naming: str) -> dict[str, np.ndarray]:
    """Gives official weights the names and layout of another code base."""
    result = {}
    for row in TABLES[naming]:
        pattern = re.sub(
            r"\\{([sbp])\\}",
            lambda match: f"(?P<{match[1]}>{_FIELDS[match[1]]})",
            re.escape(row.official[0]),
        )
        for name in state:
            match = re.fullmatch(pattern, name)
            if match and _has_row(row.source, name, state):
                officials = [
                    o.format(**match.groupdict()) for o in row.official
                ]
                values = np.concatenate([state[o] for o in officials])
                if row.transform.__name__ == "transposed":
                    values = np.ascontiguousarray(values.T)
                result[row.source.format(**match.groupdict())] = values
    return result


def _has_row(source: str, name: str, state) -> bool:
    """Only GSA is torch's attention in mmsegmentation, LSA is not."""
    if not source.startswith("layers.") or ".attn.proj." not in name:
        return True
    is_global = name.replace(".proj.", ".q.") in state
    return is_global == ("out_proj" in source)


def with_prefix(state, prefix: str) -> dict[str, np.ndarray]:
    return {prefix + name: values for name, values in state.items()}


def write_torch(path: pathlib.Path, content, legacy: bool = False) -> None:
    import torch

    def convert(value):
        if isinstance(value, dict):
            return {key: convert(item) for key, item in value.items()}
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value.copy())
        return value

    torch.save(
        convert(content), path, _use_new_zipfile_serialization=not legacy
    )


def write_paddle(path: pathlib.Path, content, protocol: int = 4) -> None:
    path.write_bytes(pickle.dumps(content, protocol=protocol))


def write_safetensors(path: pathlib.Path, state) -> None:
    save_file(state, path)
