"""How the models of detection were trained: one row each."""

import dataclasses
from collections.abc import Mapping

import keras

from keras_twins.data.detection_augmentation import COCO_1X
from keras_twins.data.detection_augmentation import COCO_3X
from keras_twins.data.detection_augmentation import DetectionAugmentation
from keras_twins.data.segmentation_augmentation import is_size
from keras_twins.training.optimizer import adamw
from keras_twins.training.optimizer import without_decay
from keras_twins.training.schedules import WarmupStepDecay


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionRecipe:
    """A training on COCO.

    Args:
        head: `"retinanet"` or `"mask_rcnn"`.
        epochs: Number of epochs.
        drop_epochs: Number of epochs after which the rate falls to a tenth,
            each time anew.
        batch_size: Images of a step, over all devices.
        learning_rate: After the warm-up.
        weight_decay: Of AdamW.
        exempt_norms: Whether layer norms and position encodings are exempt
            from the decay.
        warmup_steps: Length of the linear warm-up.
        warmup_ratio: Share of the rate in the first step.
        augmentation: How images are resized, cropped and mirrored.
        evaluation_scale: Most pixels of the long side and of the short one of
            the images that the training is validated with; by default, the
            largest of `augmentation`: officially 1333 and 800.
        drop_path_rate: Stochastic-depth rate, the same for all variants.
        dtype: Dtype policy of the training; `"mixed_float16"` had a loss scale
            of 512.
        source: Where the numbers stand.

    Raises:
        ValueError: If `evaluation_scale` is not two positive numbers.
    """

    head: str
    epochs: int
    drop_epochs: tuple[int, ...]
    batch_size: int = 16
    learning_rate: float
    weight_decay: float
    exempt_norms: bool
    warmup_steps: int = 500
    warmup_ratio: float = 1e-3
    augmentation: DetectionAugmentation
    evaluation_scale: tuple[int, int] | None = None
    drop_path_rate: float = 0.2
    dtype: str = "float32"
    source: str

    def __post_init__(self) -> None:
        scale = self.evaluation_scale
        # Now, not after the first epoch, when it is needed.
        if scale is not None and not is_size(scale):
            raise ValueError(
                "`evaluation_scale` must be two positive integers, the long "
                "side and the short one, or None. Received: "
                f"evaluation_scale={scale}"
            )

    def validation_scale(self) -> tuple[int, int]:
        """Returns the size of the images of a validation.

        Returns:
            Most pixels of the long side and of the short one.
        """
        rules = self.augmentation
        largest = rules.max_long_side, max(rules.short_sides)
        return self.evaluation_scale or largest

    def steps_per_epoch(self, images: int = 117_266) -> int:
        """Returns the number of steps of an epoch.

        Args:
            images: Number of images; by default those of COCO's `train2017`
                that have annotations and no side below 32 pixels.

        Returns:
            Number of steps; images that are left over begin another one.

        Raises:
            ValueError: If there is no image.
        """
        if images < 1:
            raise ValueError(f"`images` must be positive. Received: {images=}")
        return -(-images // self.batch_size)

    def optimizer(
        self, model: keras.Model, steps_per_epoch: int | None = None
    ) -> keras.optimizers.AdamW:
        """Returns the optimizer of a training.

        Exemptions are lost where the model is saved and loaded with its
        optimizer; `exempt_from_decay` renews them.

        Args:
            model: The model that it will train.
            steps_per_epoch: Number of steps of an epoch, by which the rate
                falls; by default, that on COCO.

        Returns:
            AdamW with the schedule and the exemptions of the recipe.
        """
        steps = steps_per_epoch or self.steps_per_epoch()
        schedule = WarmupStepDecay(
            self.learning_rate,
            [epoch * steps for epoch in self.drop_epochs],
            warmup_steps=self.warmup_steps,
            warmup_ratio=self.warmup_ratio,
        )
        exempt = without_decay(model) if self.exempt_norms else None
        return adamw(schedule, self.weight_decay, exempt)


_CONFIGS = "https://github.com/Meituan-AutoML/Twins, detection/configs"
_SHORT = {
    "epochs": 12,
    "drop_epochs": (8, 11),
    "weight_decay": 1e-4,
    "exempt_norms": False,
    "augmentation": COCO_1X,
    "source": f"{_CONFIGS}, PVT setting",
}
_LONG = {
    "epochs": 36,
    "drop_epochs": (27, 33),
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "exempt_norms": True,
    "augmentation": COCO_3X,
    "source": f"{_CONFIGS}, Swin setting",
}

DETECTION_RECIPES: Mapping[str, DetectionRecipe] = {
    "coco/retinanet_1x": DetectionRecipe(
        head="retinanet", learning_rate=1e-4, **_SHORT
    ),
    "coco/retinanet_3x": DetectionRecipe(head="retinanet", **_LONG),
    "coco/mask_rcnn_1x": DetectionRecipe(
        head="mask_rcnn", learning_rate=2e-4, **_SHORT
    ),
    "coco/mask_rcnn_3x": DetectionRecipe(
        head="mask_rcnn", dtype="mixed_float16", **_LONG
    ),
}
"""The recipes of the paper for COCO, by name."""
