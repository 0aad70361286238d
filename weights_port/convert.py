"""Converts original weights into this package's files, and back."""

import dataclasses
import os
import pathlib

import keras
import numpy as np

from keras_twins import TwinsConfig
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.digests import file_digest
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.files import write_keras_weights
from keras_twins.weights.mapping import write_safetensors
from weights_port.checkpoints import read_official
from weights_port.models import Parts
from weights_port.models import build_model
from weights_port.models import fill_model
from weights_port.models import without_head
from weights_port.official import OfficialState

KERAS_SUFFIX = ".weights.h5"
SAFETENSORS_SUFFIX = ".safetensors"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conversion:
    """What was read, and what was written.

    Args:
        source: The file that was read.
        out: The file that was written.
        official: The weights that were written.
        sha256: Digest of the written file in hexadecimal.
    """

    source: pathlib.Path
    out: pathlib.Path
    official: OfficialState
    sha256: str

    def report(self) -> str:
        """Returns the result in words, one fact a line."""
        official = self.official
        top = f"{official.classes} classes" if official.classes else "no head"
        lines = [
            describe(official),
            f"tensors: {len(official.state)}, parameters: "
            f"{official.parameters:,}, {top}",
            f"written: {self.out}",
            f"sha256: {self.sha256}",
            f"build the model with: {_constructor(official)}",
        ]
        if official.left_out:
            lines.append(f"left out: {len(official.left_out)} tensors")
        if official.head:
            lines.append("the whole model: convert --whole, or `from_twins`")
        return "\n".join(lines)


def describe(official: OfficialState) -> str:
    """Returns in one line what a file was recognised as.

    Args:
        official: Its weights.

    Returns:
        Such as `"official names, twins svt_base, wrapper: module."`.
    """
    name = official.variant or "of another architecture"
    line = f"{official.naming} names, twins {name}"
    if official.head:
        line += f", the backbone of {official.head}"
    if official.wrappers:
        line += f", wrapper: {' + '.join(official.wrappers)}"
    return line


def _constructor(official: OfficialState) -> str:
    """Returns the call that a weights file cannot carry itself."""
    name = repr(official.variant) if official.variant else "config"
    if official.final_norm and not official.config.output_norms:
        top = "" if official.include_top else ", include_top=False"
        return (
            f"keras_twins.classifier({name}{top}, "
            f"dialect={official.dialect!r}, weights=path)"
        )
    norms = official.config.output_norms
    return (
        f"TwinsBackbone of {name} with the dialect {official.dialect!r}, "
        f"output_norms={norms}, final_norm={official.final_norm}"
    )


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    architecture: str | TwinsConfig | None = None,
    naming: Naming | None = None,
    dialect: str | None = None,
    *,
    include_top: bool | None = None,
    progress: bool = False,
) -> Conversion:
    """Converts a weights file of any code base.

    Args:
        source: A `.pth`, `.safetensors`, `.pdparams` or `.weights.h5` file.
        out: The file to write: `.weights.h5`, or `.safetensors` in the
            official naming, which is timm's too.
        architecture: A key of `keras_twins.VARIANTS`, or a config; by
            default, the variant is recognised.
        naming: Whose tensor names `source` uses; by default, it is
            recognised.
        dialect: A key of `keras_twins.config.DIALECTS`; by default, that of
            the code base.
        include_top: Whether to write the classifier; by default, if there is
            one.
        progress: Whether to show a progress bar.

    Returns:
        A `Conversion`; its `report` says how to build the model.

    Raises:
        CheckpointError: If the weights are not complete and right.
        ValueError: If `out` has another suffix, or is `source`.

    Example:

    ```python
    result = weights_port.convert("alt_gvt_small.pth", "svt.weights.h5")
    print(result.report())
    ```
    """
    source, out = pathlib.Path(source), pathlib.Path(out)
    _check_out(source, out, (KERAS_SUFFIX, SAFETENSORS_SUFFIX))
    official = read_official(source, naming, architecture, dialect)
    official = _load(_select_top(official, include_top), progress)
    if out.name.endswith(SAFETENSORS_SUFFIX):
        write_safetensors(official.state, out)
    else:
        _write_keras(official, out)
    return Conversion(
        source=source, out=out, official=official, sha256=file_digest(out)
    )


def export(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    architecture: str | TwinsConfig | None = None,
    *,
    include_top: bool | None = None,
    progress: bool = False,
) -> Conversion:
    """Writes weights of this package as timm and the official code read them.

    Args:
        source: A `.weights.h5` or `.safetensors` file.
        out: The `.safetensors` file to write.
        architecture: A key of `keras_twins.VARIANTS`, or a config; by
            default, the variant is recognised.
        include_top: Whether to write the classifier; by default, if there is
            one.
        progress: Whether to show a progress bar.

    Returns:
        A `Conversion`.

    Raises:
        CheckpointError: If the weights are not complete and right.
        ValueError: If `out` has another suffix, or is `source`.

    Example:

    ```python
    weights_port.export("svt.weights.h5", "model.safetensors")
    ```
    """
    _check_out(pathlib.Path(source), pathlib.Path(out), (SAFETENSORS_SUFFIX,))
    return convert(
        source, out, architecture, include_top=include_top, progress=progress
    )


def _check_out(
    source: pathlib.Path, out: pathlib.Path, suffixes: tuple[str, ...]
) -> None:
    if not out.name.endswith(suffixes):
        raise ValueError(
            f"`out` must end with {' or '.join(suffixes)}. Received: out={out}"
        )
    if out.exists() and source.exists() and out.samefile(source):
        raise ValueError(
            "`out` must be another file than `source`. Received: "
            f"source={source}, out={out}"
        )
    if not out.parent.is_dir():
        raise ValueError(
            "`out` must lie in a folder that exists. Received: out={out}"
        )


def _select_top(
    official: OfficialState, include_top: bool | None
) -> OfficialState:
    if include_top and not official.include_top:
        raise CheckpointError(
            "`include_top=True` needs a file with the tensors head.weight and "
            "head.bias. Received: a file without them; pass "
            "`include_top=False`."
        )
    if include_top is not False or not official.include_top:
        return official
    body = without_head(official.state)
    head = [name for name in official.state if name not in body]
    return dataclasses.replace(
        official,
        state=body,
        classes=None,
        left_out=(*official.left_out, *head),
    )


def _load(official: OfficialState, progress: bool) -> OfficialState:
    """Reads all tensors, as float32."""
    names = list(official.state)
    bar = keras.utils.Progbar(len(names), unit_name="tensor")
    loaded = {}
    for done, name in enumerate(names, start=1):
        values = np.asarray(official.state[name], np.float32)
        loaded[name] = np.ascontiguousarray(values)
        if progress:
            bar.update(done)
    return dataclasses.replace(official, state=loaded)


def _write_keras(official: OfficialState, out: pathlib.Path) -> None:
    model = build_model(official.config, Parts.of(official))
    fill_model(model, official.config, official.state)
    write_keras_weights(model, out)
