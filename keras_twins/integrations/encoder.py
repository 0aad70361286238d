"""What another library's head is put on, checked before it is built."""

import dataclasses
import numbers
import os

import keras

from keras_twins.backbone import TwinsBackbone

ImageShape = tuple[int | None, int | None, int]
Weights = str | os.PathLike | None

LEVELS = ("P2", "P3", "P4", "P5")

_COMMON_PATCHES = (4, 2, 2, 2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadRule:
    """What a head asks of its encoder beside the feature pyramid.

    Args:
        head: Name of the head, for messages.
        multiple: What image height and width must be multiples of.
        known_size: Whether height and width must be known when it is built.
        distinct_dims: Whether the levels must differ in their channels.
        common_strides: Whether `"P2"` to `"P5"` must have the strides 4 to
            32, whatever they are called.
        package: Where the package has heads for other strides, for messages.
    """

    head: str
    multiple: int = 1
    known_size: bool = False
    distinct_dims: bool = False
    common_strides: bool = False
    package: str = "keras_twins.segmentation"


# Scales the coarsest map by 8 and concatenates it with the one of stride 4.
DEEPLAB = HeadRule(head="DeepLab", multiple=32, common_strides=True)
# Resizes to sizes that it reads off the graph, and names a layer by the
# channels of each level.
SEGFORMER = HeadRule(head="SegFormer", known_size=True, distinct_dims=True)
# Their anchors and points lie on grids of strides 8, 16 and 32, and they add
# or join maps that were enlarged by 2.
RETINANET = HeadRule(
    head="RetinaNet",
    multiple=32,
    common_strides=True,
    package="keras_twins.detection",
)
YOLO_V8 = dataclasses.replace(RETINANET, head="YOLOv8")


def make_encoder(
    backbone: keras.Model | str,
    rule: HeadRule,
    num_classes: int,
    weights: Weights,
    image_shape: ImageShape,
) -> keras.Model:
    """Returns the encoder of a head, or says why there can be none.

    Args:
        backbone: A Twins backbone, or a key of `keras_twins.VARIANTS`.
        rule: What the head asks for.
        num_classes: Number of classes of the head.
        weights: Weights of the variant; see `TwinsBackbone.from_variant`.
        image_shape: Shape of an image, for the variant.

    Returns:
        The backbone; a new one, without the final norm that dense heads do
        not read, if it was given by name.

    Raises:
        ValueError: If the backbone or the number of classes does not fit.
    """
    if not isinstance(num_classes, numbers.Integral) or num_classes < 1:
        raise ValueError(
            "`num_classes` must be an integer of at least 1. Received: "
            f"num_classes={num_classes!r}"
        )
    if isinstance(backbone, str):
        _check_size(rule, image_shape)
        return TwinsBackbone.from_variant(
            backbone, weights, image_shape=image_shape, final_norm=False
        )
    levels = getattr(backbone, "pyramid_outputs", {})
    if set(levels) != {*LEVELS} or not hasattr(backbone, "hidden_dims"):
        raise ValueError(
            "`backbone` must be a variant's name or a Twins backbone with "
            f"`pyramid_outputs` {LEVELS}. Received: backbone={backbone!r}"
        )
    _check_size(rule, backbone.image_shape)
    _check_dims(rule, backbone.hidden_dims)
    _check_strides(rule, backbone)
    return backbone


def _check_size(rule: HeadRule, image_shape: ImageShape) -> None:
    sides = tuple(image_shape[:2])
    if rule.known_size and None in sides:
        raise ValueError(
            f"{rule.head} needs images of a known size: build the backbone "
            "with an `image_shape` of integers. Received: "
            f"image_shape={tuple(image_shape)}"
        )
    if any(side is not None and side % rule.multiple for side in sides):
        raise ValueError(
            f"{rule.head} needs image sides that are multiples of "
            f"{rule.multiple}: its maps would not fit each other. Pad or "
            f"resize the images. Received: image_shape={tuple(image_shape)}"
        )


def _check_dims(rule: HeadRule, dims: list[int]) -> None:
    if rule.distinct_dims and len({*dims}) < len(dims):
        raise ValueError(
            f"{rule.head} needs different channels in each stage. Received a "
            f"backbone with embed_dims={tuple(dims)}"
        )


def _check_strides(rule: HeadRule, backbone: keras.Model) -> None:
    if not rule.common_strides:
        return
    patches = tuple(backbone.config.patch_sizes)
    if patches != _COMMON_PATCHES:
        raise ValueError(
            f"{rule.head} counts on maps of strides 4 to 32: the backbone must "
            f"have patch_sizes={_COMMON_PATCHES}. `{rule.package}` has heads "
            f"for others. Received: patch_sizes={patches}"
        )
