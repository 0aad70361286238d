"""What all detectors share: batches in, losses or predictions out.

Shape suffixes: B batch, H height, W width.
"""

import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar
from typing import Self

import keras

from keras_twins.backbone.functional import check_model_keywords
from keras_twins.detection.box_formats import check_format
from keras_twins.detection.decoding import DetectionSettings
from keras_twins.detection.detector_training import Batch
from keras_twins.detection.detector_training import DetectorTraining
from keras_twins.detection.pretrained import build_from_twins
from keras_twins.detection.rescaling import blank_padding
from keras_twins.detection.rescaling import sizes_of
from keras_twins.detection.rescaling import to_original
from keras_twins.ops import Tensor
from keras_twins.weights.detection_heads import DetectionHead


class Detector(DetectorTraining):
    """Boxes and labels of the objects in images.

    Abstract: `RetinaNet` and `MaskRCNN` say what their outputs mean. Its
    graph goes from images to the raw maps of the heads; `raw_outputs` gives
    these. Called with images, or with a batch without boxes, it gives
    predictions; called with a batch with boxes, what its losses need. `fit`
    and `evaluate` take batches with boxes, `predict` takes either. A valid box
    that is not finite, or whose label is no class, makes the loss NaN, since a
    step of training cannot raise. Replicas of `tf.distribute` average their
    losses, each of which is that of its own boxes.

    Args:
        images: Input of the graph.
        outputs: Raw outputs of the graph.
        backbone: The backbone.
        arguments: What `get_config` returns beside the backbone.
        loss_names: Names of the losses.
        name: Name of the model.
        **kwargs: `trainable`, as for every layer.
    """

    head_name: ClassVar[DetectionHead]
    settings: DetectionSettings

    def __init__(
        self,
        images: Tensor,
        outputs: Any,
        backbone: keras.Model,
        arguments: Mapping[str, Any],
        loss_names: Sequence[str],
        name: str | None,
        **kwargs: Any,
    ):
        check_model_keywords(type(self), kwargs)
        check_format(arguments["bounding_box_format"])
        super().__init__(images, outputs, name=name, **kwargs)
        self.dtype_policy = keras.dtype_policies.get(arguments["dtype"])
        # Behind functions: as attributes, Keras would count their weights,
        # which are the layers' above, and a final norm that nothing reads.
        self._get_backbone = lambda: backbone
        self._get_arguments = lambda: arguments
        self.num_classes = arguments["num_classes"]
        self.bounding_box_format = arguments["bounding_box_format"]
        self.include_preprocessing = arguments["include_preprocessing"]
        self.loss_means = {
            loss: keras.metrics.Mean(name=loss) for loss in loss_names
        }

    @classmethod
    def from_twins(
        cls,
        variant: str,
        weights: str | os.PathLike | None = "imagenet",
        num_classes: int = 80,
        **kwargs: Any,
    ) -> Self:
        """Builds the model on a published Twins variant.

        Args:
            variant: A key of `keras_twins.VARIANTS`, such as `"svt_base"`.
            weights: `"imagenet"` (the backbone's), `None` (random values), or
                the path of a file with all weights: `.weights.h5`, or `.pth`
                or `.safetensors` in the names of mmdetection or, for
                `RetinaNet`, of detectron2.
            num_classes: Number of classes.
            **kwargs: Arguments of the class, and of
                `keras_twins.detection.pretrained.build_from_twins`, such as
                `drop_path_rate`, `image_shape` and `dialect`.

        Returns:
            The model.
        """
        return build_from_twins(
            cls, cls.head_name, variant, weights, num_classes, **kwargs
        )

    @property
    def input_spec(self) -> None:
        """None: an image, or a dictionary with one."""

    def raw_outputs(
        self, images: Tensor, training: bool | None = None
    ) -> dict[str, Any]:
        """Returns what the heads say before anything is decoded.

        Args:
            images: Images of shape `(batch, height, width, channels)`.
            training: Whether drop path is active.

        Returns:
            `"logits"` and `"deltas"`, lists with a map for each level.
        """
        return super().call(images, training=training)

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> dict[str, Any]:
        batch = inputs if isinstance(inputs, Mapping) else {"images": inputs}
        images_BHWC = keras.ops.convert_to_tensor(batch["images"])
        sizes = batch.get("image_sizes")
        if sizes is not None:
            images_BHWC = blank_padding(
                images_BHWC, sizes, self.include_preprocessing
            )
        raw = self.raw_outputs(images_BHWC, training)
        sizes = sizes_of(images_BHWC) if sizes is None else sizes
        sizes = keras.ops.cast(sizes, "float32")
        if "boxes" in batch:
            return self.training_outputs(raw, batch, sizes)
        predictions = self.decode(raw, sizes)
        return to_original(predictions, sizes, batch.get("original_sizes"))

    def training_outputs(
        self, raw: dict[str, Any], batch: Batch, sizes: Tensor
    ) -> dict[str, Any]:
        """Returns what the losses need.

        Args:
            raw: What `raw_outputs` returned.
            batch: A batch with boxes.
            sizes: Height and width of the images without padding, of shape
                `(batch, 2)`.

        Returns:
            A dictionary, for `losses`.
        """
        raise NotImplementedError

    def decode(self, raw: dict[str, Any], sizes: Tensor) -> dict[str, Tensor]:
        """Returns the objects, in pixels of the network's input.

        Args:
            raw: What `raw_outputs` returned.
            sizes: Height and width of the images without padding, of shape
                `(batch, 2)`.

        Returns:
            `"boxes"` of shape `(batch, detections, 4)`, `"scores"`,
            `"labels"` and `"valid"` of shape `(batch, detections)`.
        """
        raise NotImplementedError

    def compute_output_spec(
        self, inputs: Any, *args: Any, **kwargs: Any
    ) -> Any:
        batch = inputs if isinstance(inputs, Mapping) else {"images": inputs}
        if "boxes" in batch:
            return keras.Operation.compute_output_spec(
                self, inputs, *args, **kwargs
            )
        # Known without a trace of the suppression, which takes as long as a
        # run with a batch of dozens on some backends.
        return self.prediction_spec(batch["images"].shape[0])

    def prediction_spec(self, batch: int | None) -> dict[str, Any]:
        """Returns the shapes and dtypes of the predictions.

        Args:
            batch: Number of images, `None` for any.

        Returns:
            A dictionary of `keras.KerasTensor`.
        """
        shape = (batch, self.settings.max_detections)
        return {
            "boxes": keras.KerasTensor((*shape, 4), "float32"),
            "labels": keras.KerasTensor(shape, "int32"),
            "scores": keras.KerasTensor(shape, "float32"),
            "valid": keras.KerasTensor(shape, "bool"),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **self._get_arguments(),
            **super().get_config(),
        }
