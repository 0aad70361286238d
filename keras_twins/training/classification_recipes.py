"""How classifiers were trained: one row each."""

import dataclasses
from collections.abc import Mapping

from keras_twins.config import TwinsConfig
from keras_twins.data.classification.augmentation import TWINS_IMAGENET
from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.training.classification_recipe import ClassificationRecipe

__all__ = ["CLASSIFICATION_RECIPES", "DIGITS_CONFIG", "ClassificationRecipe"]

DIGITS_CONFIG = TwinsConfig(
    embed_dims=(32, 64, 96, 128),
    depths=(2, 2, 2, 2),
    num_heads=(1, 2, 3, 4),
    mlp_ratios=(2, 2, 2, 2),
    attention_pattern=("LG", "LG", "LG", "LG"),
    # Patches of 2 leave maps of 16, 8, 4 and 2 positions for 32 pixels.
    patch_sizes=(2, 2, 2, 2),
    sr_ratios=(4, 2, 1, 1),
    window_sizes=(4, 4, 4, 2),
)
"""A Twins-SVT for images of 32 pixels: 0.6 million parameters."""

_TWINS = "https://github.com/Meituan-AutoML/Twins, main.py and README"
_DEIT = "https://github.com/facebookresearch/deit, issues 45 and 117"


def _imagenet(
    variant: str, drop_path_rate: float, log: str = ""
) -> ClassificationRecipe:
    """Returns a training of 300 epochs from random weights.

    Args:
        variant: A key of `keras_twins.VARIANTS`.
        drop_path_rate: Stochastic-depth rate of the last block.
        log: What the log of the released weights has instead.

    Returns:
        The recipe.
    """
    return ClassificationRecipe(
        variant=variant,
        drop_path_rate=drop_path_rate,
        source=f"{_TWINS}; the log has {log}" if log else _TWINS,
    )


def _finetuning() -> ClassificationRecipe:
    """Returns a training of a pretrained model on a small set.

    DeiT's, with AdamW: other numbers than these are as for ImageNet. Its
    script ends the cosine at 1e-5, which is above this learning rate.

    Returns:
        The recipe.
    """
    return ClassificationRecipe(
        variant="svt_small",
        weights="imagenet",
        epochs=1000,
        batch_size=768,
        learning_rate=5e-6,
        end_learning_rate=1e-6,
        drop_path_rate=0.1,
        augmentation=dataclasses.replace(
            TWINS_IMAGENET, erasing_rate=0.0, mix_group=None
        ),
        source=_DEIT,
    )


_DIGITS = ImageAugmentation(
    size=32,
    # The crop of the evaluation enlarges by a ninth.
    scale=(0.7, 1.0),
    ratio=(0.85, 1.18),
    interpolation="bilinear",
    # A mirrored digit is another one, or none.
    flip_rate=0.0,
    rand_augment=None,
    color_jitter=0.0,
    erasing_rate=0.0,
    mixup=0.0,
    cutmix=0.0,
    label_smoothing=0.05,
)

CLASSIFICATION_RECIPES: Mapping[str, ClassificationRecipe] = {
    "imagenet/pcpvt_small": _imagenet(
        "pcpvt_small", 0.2, "a rate of 1.25e-3, which is that of batch 1280"
    ),
    "imagenet/pcpvt_base": _imagenet("pcpvt_base", 0.3),
    "imagenet/pcpvt_large": _imagenet("pcpvt_large", 0.5),
    "imagenet/svt_small": _imagenet(
        "svt_small", 0.2, "a rate of 2e-3, which is that of batch 2048"
    ),
    "imagenet/svt_base": _imagenet("svt_base", 0.3),
    "imagenet/svt_large": _imagenet("svt_large", 0.5, "a warm-up of 20 epochs"),
    "finetune/cifar10": _finetuning(),
    "finetune/cifar100": _finetuning(),
    "finetune/flowers102": _finetuning(),
    "digits/svt_tiny": ClassificationRecipe(
        variant=DIGITS_CONFIG,
        image_size=32,
        epochs=20,
        batch_size=64,
        learning_rate=2e-3,
        learning_rate_batch=64,
        warmup_epochs=2,
        warmup_learning_rate=2e-5,
        end_learning_rate=2e-5,
        schedule_delay=0,
        drop_path_rate=0.05,
        augmentation=_DIGITS,
        crop="timm",
        dtype="float32",
        source="keras_twins, for its demonstration",
    ),
}
"""The recipes for classifiers, by name."""
