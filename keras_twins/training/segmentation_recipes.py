"""How the models of segmentation were trained: one row each."""

import dataclasses
from collections.abc import Mapping

import keras

from keras_twins.config import variant_config
from keras_twins.training.optimizer import adamw
from keras_twins.training.optimizer import without_decay
from keras_twins.training.schedules import WarmupPolynomialDecay


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationRecipe:
    """A training on ADE20K.

    Args:
        head: `"semantic_fpn"` or `"upernet"`.
        steps: Number of steps.
        batch_size: Images of a step, over all devices; UPerNet on PCPVT-S had
            32.
        learning_rate: Of the first step, or after the warm-up.
        weight_decay: Of AdamW.
        exempt_norms: Whether layer norms and position encodings are exempt
            from the decay; mmsegmentation's training, whose weights are
            `weights="ade20k"`, decayed the position encodings.
        power: Exponent of the polynomial decay.
        end_learning_rate: Of the last step.
        warmup_steps: Length of the linear warm-up.
        crop: Side of the images in pixels.
        drop_path_rate: Stochastic-depth rate.
        drop_path_rate_large: The same for Twins-SVT-L. The paper's text has
            0.4 for large variants; mmsegmentation's UPerNet has this rate for
            PCPVT-B and PCPVT-L, too.
        source: Where the numbers stand.
    """

    head: str
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    exempt_norms: bool
    power: float
    end_learning_rate: float
    warmup_steps: int
    crop: int = 512
    drop_path_rate: float = 0.2
    drop_path_rate_large: float = 0.3
    source: str

    def drop_path(self, variant: str) -> float:
        """Returns the stochastic-depth rate of a variant.

        Args:
            variant: A key of `keras_twins.VARIANTS`.

        Returns:
            The rate of the last block.
        """
        variant_config(variant)
        large = variant == "svt_large"
        return self.drop_path_rate_large if large else self.drop_path_rate

    def optimizer(self, model: keras.Model) -> keras.optimizers.AdamW:
        """Returns the optimizer of a training.

        Exemptions are lost where the model is saved and loaded with its
        optimizer; `exempt_from_decay` renews them.

        Args:
            model: The model that it will train.

        Returns:
            AdamW with the schedule and the exemptions of the recipe.
        """
        schedule = WarmupPolynomialDecay(
            self.learning_rate,
            self.steps,
            self.power,
            self.end_learning_rate,
            self.warmup_steps,
        )
        exempt = without_decay(model) if self.exempt_norms else None
        return adamw(schedule, self.weight_decay, exempt)


_CONFIGS = "https://github.com/Meituan-AutoML/Twins, segmentation/configs"

SEGMENTATION_RECIPES: Mapping[str, SegmentationRecipe] = {
    # The paper's text has batch 16 and weight decay 0.0005.
    "ade20k/semantic_fpn": SegmentationRecipe(
        head="semantic_fpn",
        steps=80_000,
        batch_size=32,
        learning_rate=1e-4,
        weight_decay=1e-4,
        exempt_norms=False,
        power=0.9,
        end_learning_rate=1e-6,
        warmup_steps=0,
        source=f"{_CONFIGS}, PVT setting",
    ),
    # The configuration of PCPVT-S inherits 4 images per device, 32 in all.
    "ade20k/upernet": SegmentationRecipe(
        head="upernet",
        steps=160_000,
        batch_size=16,
        learning_rate=6e-5,
        weight_decay=0.01,
        exempt_norms=True,
        power=1.0,
        end_learning_rate=0.0,
        warmup_steps=1500,
        source=f"{_CONFIGS}, Swin setting",
    ),
}
"""The recipes of the paper for ADE20K, by name."""
