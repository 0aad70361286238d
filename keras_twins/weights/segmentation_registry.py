"""Where the published weights of segmentation lie.

The 12 models that mmsegmentation trained on ADE20K. Of their digests, the
first eight digits are published, in the names of the files.
"""

import dataclasses
from collections.abc import Mapping

from keras_twins.weights.registry import Source
from keras_twins.weights.segmentation_heads import SegmentationHead

_FOLDER = "https://download.openmmlab.com/mmsegmentation/v0.5/twins"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationResult:
    """What was published for a model on ADE20K's validation images.

    Args:
        miou: Mean intersection over union in percent, one scale.
        miou_multi_scale: The same over six scales and their mirror images.
        source: Where its weights lie.
    """

    miou: float
    miou_multi_scale: float
    source: Source


_Facts = tuple[str, float, float]

# configs/twins/metafile.yaml of https://github.com/open-mmlab/mmsegmentation:
# date and digits in the file's name, mIoU of one scale, and of several.
# fmt: off
_PUBLISHED: Mapping[SegmentationHead, Mapping[str, _Facts]] = {
    "semantic_fpn": {
        "pcpvt_small": ("20211201_204132-41acd132", 43.26, 44.11),
        "pcpvt_base":  ("20211130_141019-d396db72", 45.66, 46.48),
        "pcpvt_large": ("20211201_105226-bc6d61dc", 45.94, 46.70),
        "svt_small":   ("20211130_141006-0a0d3317", 44.47, 45.42),
        "svt_base":    ("20211201_113849-88b2907c", 46.77, 47.47),
        "svt_large":   ("20211130_141005-1d59bee2", 46.55, 47.74),
    },
    "upernet": {
        "pcpvt_small": ("20211201_233537-8e99c07a", 46.04, 46.92),
        "pcpvt_base":  ("20211130_141020-02094ea5", 47.91, 48.64),
        "pcpvt_large": ("20211201_075053-c6095c07", 49.35, 50.08),
        "svt_small":   ("20211130_141005-e48a2d94", 46.08, 46.96),
        "svt_base":    ("20211202_040826-0943a1f1", 48.04, 48.87),
        "svt_large":   ("20211130_141005-3e2cae61", 49.65, 50.63),
    },
}
# fmt: on


def _stem(head: SegmentationHead, variant: str) -> str:
    family, size = variant.split("_")
    name = f"twins_{family}-{size[0]}"
    if head == "semantic_fpn":
        return f"{name}_fpn_fpnhead_8x4_512x512_80k_ade20k"
    # Images for each of 8 GPUs.
    images = 4 if variant == "pcpvt_small" else 2
    return f"{name}_uperhead_8x{images}_512x512_160k_ade20k"


def _row(
    head: SegmentationHead,
    variant: str,
    tag: str,
    miou: float,
    multi_scale: float,
) -> SegmentationResult:
    stem = _stem(head, variant)
    name = f"{stem}_{tag}.pth"
    source = Source(
        url=f"{_FOLDER}/{stem}/{name}",
        file_name=name,
        container="torch",
        sha256_prefix=tag.split("-")[1],
    )
    return SegmentationResult(
        miou=miou, miou_multi_scale=multi_scale, source=source
    )


ADE20K: Mapping[tuple[SegmentationHead, str], SegmentationResult] = {
    (head, variant): _row(head, variant, *facts)
    for head, rows in _PUBLISHED.items()
    for variant, facts in rows.items()
}
"""By head and variant."""
