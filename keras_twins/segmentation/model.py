"""What all models of segmentation share: from a backbone to score maps."""

import os
from collections.abc import Sequence
from typing import Any
from typing import ClassVar
from typing import Self

import keras

from keras_twins.backbone import DType
from keras_twins.backbone.functional import check_model_keywords
from keras_twins.backbone.pyramid import LEVELS
from keras_twins.backbone.pyramid import check_backbone
from keras_twins.backbone.pyramid import pyramid_maps
from keras_twins.layers import ResizeLike
from keras_twins.ops import Tensor
from keras_twins.segmentation.auxiliary import Auxiliary
from keras_twins.segmentation.auxiliary import AuxiliaryTraining
from keras_twins.segmentation.classifier_head import FCNHead
from keras_twins.segmentation.pretrained import build_from_twins
from keras_twins.weights.segmentation_heads import SegmentationHead

_AUXILIARY_LEVEL = "P4"


class SegmentationModel(AuxiliaryTraining):
    """Scores for every pixel, from the pyramid of a backbone.

    Abstract: `SemanticFPN` and `UPerNet` give it a head. A functional
    `keras.Model`: images of shape `(batch, height, width, channels)` to
    scores of shape `(batch, height, width, num_classes)`, `float32`.

    Where there is an auxiliary head, the steps of `fit` add its loss, times
    its weight; metrics are those of the scores. Loops of your own, and models
    that this one is a part of, find the scores of both heads in
    `call_with_auxiliary`. `keras.models.clone_model` gives a functional model
    without it; `from_config` a whole one.

    Args:
        backbone: A functional model with `pyramid_outputs`, a dictionary
            with the maps `"P2"` to `"P5"`.
        body: Layers from the list of these maps to the scores at the size of
            `"P2"`, applied in order.
        num_classes: Number of classes.
        auxiliary: The auxiliary head, if there is one.
        dropout_rate: Dropout of the auxiliary head.
        classifier_activation: `None` for logits, or `"softmax"`.
        include_preprocessing: Whether the model takes pixels of 0 to 255 and
            normalises them, if they have 3 channels.
        dtype: Dtype policy of the heads.
        name: Name of the model.
        **kwargs: `trainable`, as for every layer.
    """

    head_name: ClassVar[SegmentationHead]

    def __init__(
        self,
        backbone: keras.Model,
        body: Sequence[keras.layers.Layer],
        num_classes: int,
        auxiliary: Auxiliary | None = None,
        dropout_rate: float = 0.1,
        classifier_activation: str | None = None,
        include_preprocessing: bool = True,
        dtype: DType = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        check_model_keywords(type(self), kwargs)
        check_backbone(backbone)
        activation = keras.activations.get(classifier_activation)
        images, maps = pyramid_maps(backbone, include_preprocessing, dtype)
        x = maps
        for layer in body:
            x = layer(x)
        scores = _at_input_size(x, images, activation, "scores")
        super().__init__(images, scores, name=name, **kwargs)
        self.dtype_policy = keras.dtype_policies.get(dtype)
        # Behind functions: as attributes, Keras would count their weights,
        # which are the layers' above, and a final norm that nothing reads.
        self._get_backbone = lambda: backbone
        self.num_classes = num_classes
        self.classifier_activation = classifier_activation
        self.include_preprocessing = include_preprocessing
        self.dropout_rate = dropout_rate
        self.auxiliary = auxiliary
        if auxiliary is not None:
            self._add_auxiliary(auxiliary, maps, images, scores, activation)

    def _add_auxiliary(
        self,
        auxiliary: Auxiliary,
        maps: Sequence[Tensor],
        images: Tensor,
        scores: Tensor,
        activation: Any,
    ) -> None:
        self.auxiliary_head = FCNHead(
            self.num_classes,
            auxiliary.filters,
            self.dropout_rate,
            dtype=self.dtype_policy,
            name="auxiliary_head",
        )
        x = self.auxiliary_head(maps[LEVELS.index(_AUXILIARY_LEVEL)])
        x = _at_input_size(x, images, activation, "auxiliary")
        self.set_training_graph(images, scores, x)

    @classmethod
    def from_twins(
        cls,
        variant: str,
        weights: str | os.PathLike | None = "imagenet",
        num_classes: int = 150,
        **kwargs: Any,
    ) -> Self:
        """Builds the model on a published Twins variant.

        Args:
            variant: A key of `keras_twins.VARIANTS`, such as `"svt_base"`.
            weights: `"ade20k"` (all weights; 150 classes), `"imagenet"` (the
                backbone's), `None` (random values), or the path of a file
                with all weights: `.weights.h5`, or `.pth` or `.safetensors`
                in the names of mmsegmentation or of the official code.
            num_classes: Number of classes.
            **kwargs: Arguments of the class, and of
                `keras_twins.segmentation.pretrained.build_from_twins`, such
                as `drop_path_rate`, `image_shape` and `dialect`.

        Returns:
            The model.
        """
        return build_from_twins(
            cls, cls.head_name, variant, weights, num_classes, **kwargs
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "dropout_rate": self.dropout_rate,
            "classifier_activation": self.classifier_activation,
            "include_preprocessing": self.include_preprocessing,
        }


def _at_input_size(
    x: Tensor, images: Tensor, activation: Any, name: str
) -> Tensor:
    # float32: what follows, a softmax or a loss, needs it.
    x = ResizeLike(dtype="float32", name=name)(x, images)
    if activation is keras.activations.linear:
        return x
    return keras.layers.Activation(
        activation, dtype="float32", name=f"{name}_activation"
    )(x)
