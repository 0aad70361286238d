"""Mask R-CNN on Twins.

Shape suffixes: B batch, R regions, D detections, K classes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any
from typing import ClassVar

import keras

from keras_twins.backbone import DType
from keras_twins.backbone.pyramid import check_backbone
from keras_twins.backbone.pyramid import pyramid_maps
from keras_twins.detection.anchor_heads import RPNHead
from keras_twins.detection.anchors import RPN_ANCHORS
from keras_twins.detection.decoding import DetectionSettings
from keras_twins.detection.decoding import ProposalSettings
from keras_twins.detection.decoding import decode_box_head
from keras_twins.detection.detector import Detector
from keras_twins.detection.detector_training import Batch
from keras_twins.detection.mask_targets import crop_masks
from keras_twins.detection.proposals import losses_of_proposals
from keras_twins.detection.proposals import proposal_targets
from keras_twins.detection.proposals import propose
from keras_twins.detection.region_heads import BoxHead
from keras_twins.detection.region_heads import MaskHead
from keras_twins.detection.region_losses import box_head_losses
from keras_twins.detection.region_losses import mask_head_loss
from keras_twins.detection.region_sampling import Regions
from keras_twins.detection.region_sampling import RegionSettings
from keras_twins.detection.region_sampling import sample_regions
from keras_twins.detection.roi_align import pool_regions
from keras_twins.detection.row_counts import first_rows
from keras_twins.detection.sampling import Sample
from keras_twins.layers import FeaturePyramid
from keras_twins.ops import Tensor
from keras_twins.weights.detection_heads import DetectionHead

_BOX_SIZE = 7
_MASK_SIZE = 14
_SAMPLE_SHARES = (0.125,)
"""Shares of the places for objects at which masks are computed: with 512
samples, 16 or all 128. Each takes a compiler as long as the first."""

_DETECTION_SHARES = (0.08, 0.32)
"""The same for predictions: of 100, 8, 32 or all."""

_LOSSES = (
    "proposal_class_loss",
    "proposal_box_loss",
    "class_loss",
    "box_loss",
    "mask_loss",
)


@keras.saving.register_keras_serializable(package="keras_twins")
class MaskRCNN(Detector):
    """Mask R-CNN: proposes regions, then says what they are and their masks.

    Args:
        backbone: A functional model with `pyramid_outputs` `"P2"` to `"P5"`,
            such as `keras_twins.TwinsBackbone`.
        num_classes: Number of classes.
        filters: Number of channels of the feature pyramid and the heads.
        units: Width of the dense layers of the box head.
        score_threshold: Score that a detection must be above.
        iou_threshold: Overlap beyond which the lower of two detections of a
            class is left out.
        max_detections: Largest number of detections of an image.
        num_candidates: Number of anchors of a level that regions are proposed
            from; training takes twice as many.
        num_proposals: Largest number of regions of an image.
        num_samples: Number of regions of an image in training.
        bounding_box_format: Format of the boxes of KerasCV's and KerasHub's
            dictionaries in `fit`; the package's own have x1, y1, x2, y2.
        include_preprocessing: Whether the model takes pixels of 0 to 255 and
            normalises them, if they have 3 channels.
        seed: Seed of the samples of training.
        dtype: Dtype policy of the heads.
        name: Name of the model.
        **kwargs: `trainable`, as for every layer.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`, or a
            dictionary with these as `"images"` and, if wanted,
            `"image_sizes"` and `"original_sizes"` of shape `(batch, 2)`:
            height and width in pixels of what is no padding, and of the image
            before it was resized. A dictionary with `"boxes"`, as `fit` takes
            it, gives what the losses need instead of predictions.
        training: Whether drop path is active.

    Call returns:
        Dictionary with `"boxes"` of shape `(batch, max_detections, 4)`, x1,
        y1, x2, y2 in pixels of the original image, `"scores"`, `"labels"` and
        `"valid"` of shape `(batch, max_detections)`, the best first, and
        `"masks"` of shape `(batch, max_detections, 28, 28)`: how likely each
        part of a box belongs to the object. What is not valid is padding.

    Raises:
        ValueError: If the backbone has no pyramid, or an argument means
            nothing.

    Reference:
        - [Mask R-CNN](https://arxiv.org/abs/1703.06870)
        - [Twins](https://arxiv.org/abs/2104.13840), Section 4.3

    Example:

    ```python
    from keras_twins.detection import MaskRCNN

    model = MaskRCNN.from_twins("svt_small", weights=None, num_classes=5)
    detections = model.predict(numpy.zeros((1, 64, 96, 3)), verbose=0)
    ```
    """

    head_name: ClassVar[DetectionHead] = "mask_rcnn"

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int = 80,
        filters: int = 256,
        units: int = 1024,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
        num_candidates: int = 1000,
        num_proposals: int = 1000,
        num_samples: int = 512,
        bounding_box_format: str = "xyxy",
        include_preprocessing: bool = True,
        seed: int | None = None,
        dtype: DType = None,
        name: str | None = "mask_rcnn",
        **kwargs: Any,
    ):
        check_backbone(backbone)
        settings = DetectionSettings(
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
        )
        images, maps = pyramid_maps(backbone, include_preprocessing, dtype)
        outputs = _head_outputs(maps, filters, dtype)
        arguments = {
            "num_classes": num_classes,
            "filters": filters,
            "units": units,
            "score_threshold": score_threshold,
            "iou_threshold": iou_threshold,
            "max_detections": max_detections,
            "num_candidates": num_candidates,
            "num_proposals": num_proposals,
            "num_samples": num_samples,
            "bounding_box_format": bounding_box_format,
            "include_preprocessing": include_preprocessing,
            "seed": seed,
            "dtype": dtype,
        }
        super().__init__(
            images, outputs, backbone, arguments, _LOSSES, name, **kwargs
        )
        self.settings = settings
        self._add_second_stage(arguments)

    def _add_second_stage(self, arguments: Mapping[str, Any]) -> None:
        self.proposal_settings = ProposalSettings(
            candidates=arguments["num_candidates"],
            count=arguments["num_proposals"],
        )
        self.region_settings = RegionSettings(count=arguments["num_samples"])
        self.seed_generator = keras.random.SeedGenerator(arguments["seed"])
        classes, filters = arguments["num_classes"], arguments["filters"]
        dtype = arguments["dtype"]
        self.box_head = BoxHead(
            classes, arguments["units"], dtype=dtype, name="box_head"
        )
        self.mask_head = MaskHead(
            classes, filters, dtype=dtype, name="mask_head"
        )
        self.box_head.build((None, None, _BOX_SIZE, _BOX_SIZE, filters))
        self.mask_head.build((None, None, _MASK_SIZE, _MASK_SIZE, filters))

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """All layers, those that the graph does not show among them."""
        heads = (
            getattr(self, f"{name}_head", None) for name in ("box", "mask")
        )
        return [*super().layers, *(head for head in heads if head is not None)]

    def layers_beside_graph(
        self,
    ) -> list[tuple[keras.layers.Layer, tuple[int | None, ...]]]:
        """Returns what is computed beside the graph for predictions.

        Returns:
            Layers and the shapes of their inputs.
        """
        boxes = (None, self.proposal_settings.count, _BOX_SIZE, _BOX_SIZE)
        masks = (None, self.settings.max_detections, _MASK_SIZE, _MASK_SIZE)
        filters = self._get_arguments()["filters"]
        return [
            (self.box_head, (*boxes, filters)),
            (self.mask_head, (*masks, filters)),
        ]

    def truth_keys(self) -> tuple[str, ...]:
        return (*super().truth_keys(), "masks")

    def training_outputs(
        self, raw: dict[str, Any], batch: Batch, sizes: Tensor
    ) -> dict[str, Any]:
        seed = self.seed_generator
        assigned, chosen = proposal_targets(raw, sizes, batch, seed)
        settings = dataclasses.replace(
            self.proposal_settings,
            candidates=2 * self.proposal_settings.candidates,
        )
        boxes, _, proposed = propose(raw, sizes, settings)
        regions = sample_regions(
            boxes,
            proposed,
            batch,
            self.num_classes,
            self.region_settings,
            seed,
        )
        return {
            **raw,
            "assigned": assigned,
            "sample": chosen._asdict(),
            **self.judge(raw["maps"], regions),
        }

    def judge(self, maps: list[Tensor], regions: Regions) -> dict[str, Any]:
        """Returns what the heads say of regions whose truth is known.

        Args:
            maps: The maps that regions are pooled from.
            regions: The regions, those that hold an object first.

        Returns:
            `"regions"`, their `"region_logits"` and `"region_deltas"`, and
            `"mask_logits"` of those that may hold an object.
        """
        pooled = pool_regions(maps, regions.boxes, _BOX_SIZE)
        logits, deltas = self.box_head(pooled)
        objects = regions.first(self.region_settings.most_positive)
        return {
            "regions": regions.parts(),
            "region_logits": logits,
            "region_deltas": deltas,
            "mask_logits": self._mask_logits(maps, objects),
        }

    def _mask_logits(self, maps: list[Tensor], objects: Regions) -> Tensor:
        """Returns masks, which are zeros where no region holds an object.

        The head is most of the work of a step, and there are seldom as many
        objects as there is room for.
        """

        def judge_first(count: int) -> Tensor:
            boxes = objects.first(count).boxes
            return self.mask_head(pool_regions(maps, boxes, _MASK_SIZE))

        return first_rows(
            judge_first,
            keras.ops.any(objects.positive, axis=0),
            _SAMPLE_SHARES,
        )

    def detection_losses(
        self, outputs: dict[str, Any], batch: Batch
    ) -> dict[str, Tensor]:
        regions = Regions(**outputs["regions"])
        objects = regions.first(self.region_settings.most_positive)
        targets = crop_masks(batch["masks"], objects.boxes, objects.owners)
        return {
            **losses_of_proposals(
                outputs, outputs["assigned"], Sample(**outputs["sample"]), batch
            ),
            **box_head_losses(
                outputs["region_logits"], outputs["region_deltas"], regions
            ),
            "mask_loss": mask_head_loss(
                outputs["mask_logits"], targets, objects
            ),
        }

    def decode(self, raw: dict[str, Any], sizes: Tensor) -> dict[str, Tensor]:
        maps = raw["maps"]
        boxes_BR4, _, proposed_BR = propose(raw, sizes, self.proposal_settings)
        pooled = pool_regions(maps, boxes_BR4, _BOX_SIZE)
        logits, deltas = self.box_head(pooled)
        predictions = decode_box_head(
            logits, deltas, boxes_BR4, proposed_BR, sizes, self.settings
        )
        return {**predictions, "masks": self.masks_of(maps, predictions)}

    def prediction_spec(self, batch: int | None) -> dict[str, Any]:
        side = 2 * _MASK_SIZE
        shape = (batch, self.settings.max_detections, side, side)
        masks = keras.KerasTensor(shape, "float32")
        return {**super().prediction_spec(batch), "masks": masks}

    def masks_of(
        self, maps: list[Tensor], predictions: Mapping[str, Tensor]
    ) -> Tensor:
        """Returns the masks of what was found.

        Args:
            maps: The maps that regions are pooled from.
            predictions: `"boxes"` of shape `(batch, max_detections, 4)`, in
                pixels of the network's input, `"labels"` and `"valid"` of
                shape `(batch, max_detections)`.

        Returns:
            Probabilities of shape `(batch, max_detections, 28, 28)`, float32;
            zeros where nothing is valid.
        """
        boxes, labels, valid = (
            predictions[key] for key in ("boxes", "labels", "valid")
        )

        def mask_first(count: int) -> Tensor:
            pooled = pool_regions(maps, boxes[:, :count], _MASK_SIZE)
            own = keras.ops.take_along_axis(
                self.mask_head(pooled),
                labels[:, :count, None, None, None],
                axis=-1,
            )
            return keras.ops.sigmoid(keras.ops.cast(own[..., 0], "float32"))

        needed = keras.ops.any(valid, axis=0)
        masks = first_rows(mask_first, needed, _DETECTION_SHARES)
        return keras.ops.where(valid[..., None, None], masks, 0.0)


def _head_outputs(
    maps: list[Tensor], filters: int, dtype: DType
) -> dict[str, list[Tensor]]:
    """Returns what is said of the anchors, and the maps of the regions."""
    maps = FeaturePyramid(filters, dtype=dtype, name="neck")(maps)
    # A pooling of one pixel: every second one.
    coarsest = maps[-1][:, ::2, ::2]
    head = RPNHead(
        1, RPN_ANCHORS.per_cell, filters, dtype=dtype, name="rpn_head"
    )
    return {**head([*maps, coarsest]), "maps": maps}
