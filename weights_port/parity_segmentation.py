"""Differences from the outputs of mmsegmentation's models, as parity rows."""

import json
import pathlib
import sys
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_twins import VARIANTS
from keras_twins import TwinsBackbone
from keras_twins.backbone.pyramid import feature_extractor
from keras_twins.segmentation import SegmentationCrossEntropy
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet
from keras_twins.segmentation.model import SegmentationModel
from keras_twins.weights.dense import fill_dense
from keras_twins.weights.dialects import dense_config
from keras_twins.weights.renaming import rename
from keras_twins.weights.unwrapping import unwrap
from weights_port.golden import rule_image
from weights_port.golden import rule_state
from weights_port.parity import ParityRow
from weights_port.parity import compare_output

SEGMENTATION_MANIFESTS = ("mmseg_twins_main.json", "mmseg_twins_rest.json")
"""Files in `tests/golden`."""

SEGMENTATION_SOURCES: Mapping[str, type[SemanticFPN] | type[UPerNet]] = {
    "mmseg_semantic_fpn": SemanticFPN,
    "mmseg_upernet": UPerNet,
}
"""What is compared, by the name that it has in the rows."""

_SIZES = {"s": "small", "b": "base", "l": "large"}


def measure_segmentation(
    golden: pathlib.Path,
    sources: Iterable[str] = tuple(SEGMENTATION_SOURCES),
    variants: Iterable[str] = tuple(VARIANTS),
) -> Iterator[ParityRow]:
    """Compares the running backend with the reference outputs.

    Args:
        golden: Folder of the manifests and their arrays.
        sources: Keys of `SEGMENTATION_SOURCES`.
        variants: Keys of `keras_twins.VARIANTS`.

    Yields:
        A row for each output of each case: `logits`, `stage1` to `stage4`,
        what a head gives on its way, `loss` (relative to itself), and
        `classes` (share of the pixels with another one).
    """
    sources, variants = tuple(sources), tuple(variants)
    for file in SEGMENTATION_MANIFESTS:
        manifest = json.loads((golden / file).read_text())
        with np.load(golden / manifest["file"]) as arrays:
            for name in dict.fromkeys(c["model"] for c in manifest["cases"]):
                source, variant = identify(name)
                if source in sources and variant in variants:
                    yield from _measure_model(name, manifest, arrays)


def identify(name: str) -> tuple[str, str]:
    """Returns what a model of a manifest is.

    Args:
        name: Name in the manifest, such as `"svt-s_uperhead"`.

    Returns:
        Keys of `SEGMENTATION_SOURCES` and of `keras_twins.VARIANTS`.
    """
    body, _, head = name.partition("_")
    family, size = body.split("-")
    source = "mmseg_upernet" if head == "uperhead" else "mmseg_semantic_fpn"
    return source, f"{family}_{_SIZES[size]}"


def _measure_model(
    name: str, manifest: Mapping[str, Any], arrays: Any
) -> Iterator[ParityRow]:
    source, variant = identify(name)
    cases = [case for case in manifest["cases"] if case["model"] == name]
    print(f"{source} {variant}: {len(cases)} cases", file=sys.stderr)
    model = _reference_model(source, variant, manifest["models"][name])
    maps = feature_extractor(model.backbone)
    for case in cases:
        images = rule_image(case["seed"], case["input_shape"])
        scores = model.predict_on_batch(images)
        found = {"logits_full": scores}
        if case is cases[-1]:
            found |= _parts(model, maps.predict_on_batch(images))
        height, width = case["input_shape"][2:]
        for output, difference, relative in (
            *_differences(found, case, arrays),
            _other_classes(scores, case, arrays),
            _other_loss(scores, case),
        ):
            yield ParityRow(
                backend=keras.backend.backend(),
                source=source,
                variant=variant,
                size=f"{height}x{width}",
                output=output,
                difference=difference,
                relative=relative,
            )


def _reference_model(
    source: str, variant: str, entry: Mapping[str, Any]
) -> SegmentationModel:
    config = dense_config(variant, "mmsegmentation")
    model = SEGMENTATION_SOURCES[source](
        TwinsBackbone(config, final_norm=False), include_preprocessing=False
    )
    state, _ = unwrap(rule_state(entry))
    renaming = rename(state, "mmsegmentation", keep_heads=True)
    if renaming.problems:
        raise ValueError(f"{source} {variant}: {renaming.problems}")
    fill_dense(model, config, model.head_name, renaming.state)
    return model


def _parts(
    model: SegmentationModel, maps: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Returns what the scores do not show, by the names of the manifests."""
    found: dict[str, Any] = {f"backbone{i}": x for i, x in enumerate(maps)}
    if isinstance(model, UPerNet):
        return found | {"aux_low": model.auxiliary_head(maps[2])}
    neck = model.get_layer("neck")(maps)
    return found | {f"neck{i}": x for i, x in enumerate(neck)}


def _differences(
    found: Mapping[str, Any], case: Mapping[str, Any], arrays: Any
) -> Iterator[tuple[str, float, float]]:
    outputs = {output["name"]: output for output in case["outputs"]}
    for name, x in found.items():
        output = outputs[name]
        difference = compare_output(x, output, arrays[output["npz_key"]])
        yield _own_name(name), difference, difference / output["std"]


def _own_name(name: str) -> str:
    """Returns the name that an output has in the rows of classifiers."""
    if name.startswith("backbone"):
        return f"stage{int(name[-1]) + 1}"
    return "logits" if name == "logits_full" else name


def _other_classes(
    scores: np.ndarray, case: Mapping[str, Any], arrays: Any
) -> tuple[str, float, float]:
    (output,) = (x for x in case["outputs"] if x["name"] == "argmax")
    expected = arrays[output["npz_key"]].reshape(output["shape"])
    share = float((scores[0].argmax(-1) != expected).mean())
    return "classes", share, share


def _other_loss(
    scores: np.ndarray, case: Mapping[str, Any]
) -> tuple[str, float, float]:
    height, width = scores.shape[1:3]
    generator = np.random.Generator(np.random.PCG64(case["gt_seed"]))
    labels = generator.integers(0, 150, size=(height, width))
    labels[:16, :24] = 255
    # mmsegmentation divides by all pixels, also those that it ignores.
    loss = SegmentationCrossEntropy(mean_over="all")(labels[None], scores)
    expected = case["losses_eval_mode"]["decode.loss_ce"]
    difference = abs(float(loss) - expected)
    return "loss", difference, difference / expected
