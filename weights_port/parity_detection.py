"""Differences from the outputs of mmdetection's models, as parity rows."""

import json
import pathlib
import sys
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twins import VARIANTS
from keras_twins import TwinsBackbone
from keras_twins.detection.mask_rcnn import MaskRCNN
from keras_twins.detection.retinanet import RetinaNet
from keras_twins.weights.dense import fill_dense
from keras_twins.weights.dense_files import identify_dense
from keras_twins.weights.dialects import dense_config
from keras_twins.weights.unwrapping import unwrap
from weights_port.detection_outputs import Arrays
from weights_port.detection_outputs import measure_case
from weights_port.golden import rule_image
from weights_port.golden import rule_state
from weights_port.parity import ParityRow

DETECTION_MANIFESTS: Mapping[str, str] = {
    "mmdet_retinanet": "mmdet_retinanet_twins.json",
    "mmdet_mask_rcnn": "mmdet_maskrcnn_twins.json",
}
"""Files in `tests/golden`, by the name that the models have in the rows."""

DETECTION_SOURCES = tuple(DETECTION_MANIFESTS)


def measure_detection(
    golden: pathlib.Path,
    sources: Iterable[str] = DETECTION_SOURCES,
    variants: Iterable[str] = tuple(VARIANTS),
    sizes: Collection[str] | None = None,
) -> Iterator[ParityRow]:
    """Compares the running backend with the reference outputs.

    Args:
        golden: Folder of the manifests and their arrays.
        sources: Among `DETECTION_SOURCES`.
        variants: Keys of `keras_twins.VARIANTS`.
        sizes: Sizes of images, such as `"320x416"`; by default all.

    Yields:
        A row for each output of each case: `stage1` to `stage4`, `neck0` to
        `neck4`, scores (`logits`) and deltas of the anchors or of given
        regions, `mask_logits`, and of the final detections, matched one by
        one, `boxes` (in pixels), `scores` (relative to 1) and `detections`
        (share without a match).
    """
    sources, variants = tuple(sources), tuple(variants)
    for source in sources:
        manifest = json.loads(
            (golden / DETECTION_MANIFESTS[source]).read_text()
        )
        with np.load(golden / manifest["file"]) as numbers:
            for variant in variants:
                cases = [
                    case
                    for case in manifest["cases"]
                    if case["model"].endswith(variant)
                    and (sizes is None or _size(case) in sizes)
                ]
                yield from _measure_model(
                    source, variant, manifest, numbers, cases
                )


def _size(case: Mapping[str, Any]) -> str:
    return "x".join(map(str, case["input_shape"][2:]))


def _measure_model(
    source: str,
    variant: str,
    manifest: Mapping[str, Any],
    numbers: Any,
    cases: list[Mapping[str, Any]],
) -> Iterator[ParityRow]:
    if not cases:
        return
    print(f"{source} {variant}: {len(cases)} cases", file=sys.stderr)
    model = reference_model(variant, manifest["models"][cases[0]["model"]])
    for case in cases:
        outputs = {output["name"]: output for output in case["outputs"]}
        arrays = Arrays(outputs, numbers)
        batch = {
            "images": case_images(case),
            "image_sizes": np.array([case["img_shape"]], "int32"),
        }
        for measured in measure_case(model, batch, arrays):
            yield ParityRow(
                backend=keras.backend.backend(),
                source=source,
                variant=variant,
                size=_size(case),
                output=measured.output,
                difference=measured.difference,
                relative=measured.relative,
            )


def reference_model(
    variant: str, entry: Mapping[str, Any]
) -> RetinaNet | MaskRCNN:
    """Returns a detector with the deterministic weights of a manifest.

    Args:
        variant: A key of `keras_twins.VARIANTS`.
        entry: Entry of `models` in the manifest.

    Returns:
        A model of normalised images of any size.
    """
    state, _ = unwrap(rule_state(entry))
    checkpoint = identify_dense(state)
    config = dense_config(variant, checkpoint.dialect)
    cls = RetinaNet if checkpoint.head == "retinanet" else MaskRCNN
    model = cls(
        TwinsBackbone(config, final_norm=False), include_preprocessing=False
    )
    fill_dense(model, config, checkpoint.head, checkpoint.state)
    return model


def case_images(case: Mapping[str, Any]) -> np.ndarray:
    """Returns the images of a case: zeros where they are padding.

    Args:
        case: Entry of `cases` in a manifest.

    Returns:
        Array of shape `(1, height, width, 3)`.
    """
    images = rule_image(case["seed"], case["input_shape"])
    height, width = case["img_shape"]
    images[:, height:] = 0
    images[:, :, width:] = 0
    return images
