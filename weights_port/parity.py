"""Differences from the original systems' outputs, as rows of a JSON file.

The reference outputs in `tests/golden` come from the official code, timm and
mmpretrain, run with deterministic weights. Here the running backend does the
same; a file collects the rows of several backends.
"""

import json
import pathlib
import sys
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

import keras_twins
from keras_twins.weights.files import replace_file
from keras_twins.weights.mapping import load_state
from weights_port.golden import rule_image
from weights_port.golden import rule_state
from weights_port.official import to_official

MANIFESTS = {
    "official": "cls_official_224.json",
    "timm": "cls_timm.json",
    "mmpretrain": "cls_mmpretrain.json",
}
"""The systems compared with, and the file of each in `tests/golden`."""


class ParityRow(NamedTuple):
    """How far one output of one model is from the original's.

    `relative` is the largest difference over the standard deviation of the
    original's output.
    """

    backend: str
    source: str
    variant: str
    size: str
    output: str
    difference: float
    relative: float


def measure_parity(
    golden: pathlib.Path,
    sources: Iterable[str] = tuple(MANIFESTS),
    variants: Iterable[str] = tuple(keras_twins.VARIANTS),
) -> Iterator[ParityRow]:
    """Compares the running backend with the reference outputs.

    Args:
        golden: Folder of the manifests and their arrays.
        sources: Keys of `MANIFESTS`.
        variants: Keys of `keras_twins.VARIANTS`.

    Yields:
        A row for each output of each case.
    """
    variants = tuple(variants)
    for source in sources:
        manifest = json.loads((golden / MANIFESTS[source]).read_text())
        with np.load(golden / manifest["file"]) as arrays:
            for variant in variants:
                yield from _measure_variant(source, variant, manifest, arrays)


def _measure_variant(
    source: str, variant: str, manifest: Mapping[str, Any], arrays: Any
) -> Iterator[ParityRow]:
    cases = [c for c in manifest["cases"] if c["model"] == variant]
    if not cases:
        return
    print(f"{source} {variant}: {len(cases)} cases", file=sys.stderr)
    original = to_official(rule_state(manifest["models"][variant]))
    model = reference_model(variant, original.dialect)
    load_state(model, original.config, original.state, include_top=True)
    probe = probe_model(model)
    for case in cases:
        height, width = case["input_shape"][2:]
        images = rule_image(case["seed"], case["input_shape"])
        found = probe.predict_on_batch(images)
        for output in case["outputs"]:
            difference = compare_output(
                found[output["name"]], output, arrays[output["npz_key"]]
            )
            yield ParityRow(
                backend=keras.backend.backend(),
                source=source,
                variant=variant,
                size=f"{height}x{width}",
                output=output["name"],
                difference=difference,
                relative=difference / output["std"],
            )


def reference_model(variant: str, dialect: str) -> keras.Model:
    """Returns a classifier that takes normalised images and gives logits.

    Args:
        variant: A key of `keras_twins.VARIANTS`.
        dialect: A key of `keras_twins.config.DIALECTS`.

    Returns:
        A model of images of any size.
    """
    return keras_twins.classifier(
        variant,
        weights=None,
        input_shape=(None, None, 3),
        classifier_activation=None,
        include_preprocessing=False,
        dialect=dialect,
    )


def probe_model(model: keras.Model) -> keras.Model:
    """Returns a model that gives every output the manifests name.

    Args:
        model: A classifier of this package.

    Returns:
        A model of a dictionary: `stage1` to `stage4`, `stage4_norm`,
        `pooled` and `logits`.
    """
    names = [layer.name for layer in model.layers]
    outputs = {
        "stage4_norm": model.get_layer("norm").output,
        "pooled": model.get_layer("avg_pool").output,
        "logits": model.output,
    }
    for stage in range(4):
        last = [n for n in names if n.startswith(f"stage{stage}_")][-1]
        outputs[f"stage{stage + 1}"] = model.get_layer(last).output
    probe = keras.Model(model.input, outputs)
    probe.compile()
    return probe


def compare_output(
    found: Any, output: Mapping[str, Any], expected: np.ndarray
) -> float:
    """Returns the largest difference from a stored output.

    Args:
        found: Output of this package, `(batch, height, width, channels)` or
            `(batch, channels)`.
        output: Entry of `outputs` in a manifest.
        expected: What is stored: all of the output, channels first, or every
            `step`-th number of it.

    Returns:
        The largest absolute difference.

    Raises:
        ValueError: If the shapes differ, or a number is not finite.
    """
    found = keras.ops.convert_to_numpy(found)
    if found.ndim == 4:
        found = found.transpose(0, 3, 1, 2)
    if list(found.shape) != list(output["shape"]):
        raise ValueError(
            f"The output {output['name']!r} must have the shape "
            f"{output['shape']}. Received: shape={found.shape}"
        )
    if not np.isfinite(found).all():
        raise ValueError(f"The output {output['name']!r} is not finite.")
    step = output.get("step") or 1
    numbers = found.reshape(-1)[::step].astype("float64")
    return float(np.abs(numbers - expected.reshape(-1)).max())


def read_rows(path: pathlib.Path) -> list[ParityRow]:
    """Returns the rows of a file, none if there is no such file."""
    if not path.exists():
        return []
    return [ParityRow(**row) for row in json.loads(path.read_text())]


def merge_rows(path: pathlib.Path, rows: Iterable[ParityRow]) -> int:
    """Adds rows to a file; they replace those of the same case.

    Args:
        path: The JSON file; it need not exist.
        rows: The rows.

    Returns:
        How many rows the file has now.
    """
    merged = {row[:5]: row for row in [*read_rows(path), *rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = [merged[key]._asdict() for key in sorted(merged)]
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    return len(merged)
