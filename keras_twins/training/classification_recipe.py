"""What a recipe for classifiers says, and what is built by it."""

import dataclasses
from typing import Any
from typing import Literal

import keras

from keras_twins.applications import classifier
from keras_twins.applications.classifier import HEAD
from keras_twins.config import TwinsConfig
from keras_twins.config import variant_config
from keras_twins.data.classification.augmentation import TWINS_IMAGENET
from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.layers.initializers import DenseNormal
from keras_twins.preprocessing import CROP_FRACTIONS
from keras_twins.training.cosine_epochs import WarmupCosineEpochs
from keras_twins.training.layer_decay import LayerDecayAdamW
from keras_twins.training.layer_decay import layer_scales
from keras_twins.training.optimizer import ResumableAdamW
from keras_twins.training.optimizer import adamw
from keras_twins.training.optimizer import without_decay_imagenet

_COUNTS = (
    "image_size",
    "epochs",
    "batch_size",
    "learning_rate_batch",
    "accumulation_steps",
)
_AMOUNTS = (
    "learning_rate",
    "warmup_epochs",
    "warmup_learning_rate",
    "end_learning_rate",
    "schedule_delay",
    "weight_decay",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationRecipe:
    """A training of a classifier; the defaults are those of the paper.

    Args:
        variant: A key of `keras_twins.VARIANTS`, or an architecture.
        image_size: Height and width of the images in pixels. The size in
            `augmentation` follows it.
        weights: Where the body begins: `None` for random values, `"imagenet"`,
            or the path of a file. The classifier is new.
        epochs: Number of epochs.
        batch_size: Images of a step, over all devices.
        learning_rate: After the warm-up, for batches of `learning_rate_batch`.
        learning_rate_batch: Images of an update for which `learning_rate` is
            meant; it grows with them.
        warmup_epochs: Length of the linear warm-up.
        warmup_learning_rate: Where the warm-up begins, at any batch size.
        end_learning_rate: Where the cosine ends, at any batch size.
        schedule_delay: Epochs by which the rate comes late; see
            `WarmupCosineEpochs`.
        weight_decay: Of AdamW; vectors and position encodings are exempt.
        clip_norm: Largest norm of all gradients together; `None` for any.
        layer_decay: Ratio of the learning rates of a block and the next one;
            `None` for one rate.
        ema_momentum: Share of the old average in the new moving average of the
            weights; `None` for no average.
        accumulation_steps: Steps whose gradients make one update. The learning
            rate is for all their images.
        drop_path_rate: Stochastic-depth rate of the last block.
        augmentation: What happens to the images of the training.
        crop: Evaluation: `"official"` or `"timm"`; see
            `keras_twins.preprocessing.evaluation_crop`.
        dtype: Dtype policy of the body. On TPUs, `"mixed_bfloat16"` takes the
            place of `"mixed_float16"`, and no loss is scaled.
        gradient_checkpointing: Whether blocks are computed twice to save
            memory.
        source: Where the numbers stand.

    Raises:
        ValueError: If a value is out of range.
    """

    variant: str | TwinsConfig
    image_size: int = 224
    weights: str | None = None
    epochs: int = 300
    batch_size: int = 1024
    learning_rate: float = 5e-4
    learning_rate_batch: int = 512
    warmup_epochs: int = 5
    warmup_learning_rate: float = 1e-6
    end_learning_rate: float = 1e-5
    schedule_delay: int = 1
    weight_decay: float = 0.05
    clip_norm: float | None = 5.0
    layer_decay: float | None = None
    ema_momentum: float | None = None
    accumulation_steps: int = 1
    drop_path_rate: float
    augmentation: ImageAugmentation = TWINS_IMAGENET
    crop: Literal["official", "timm"] = "official"
    dtype: str = "mixed_float16"
    gradient_checkpointing: bool = False
    source: str

    def __post_init__(self) -> None:
        _check_dtype(self.dtype)
        if isinstance(self.variant, str):
            variant_config(self.variant)
        for name in _COUNTS:
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in _AMOUNTS:
            self._require(name, getattr(self, name) >= 0, "at least 0")
        for name in ("ema_momentum", "drop_path_rate"):
            share = 0 <= (getattr(self, name) or 0) < 1
            self._require(name, share, "at least 0 and below 1")
        decay, norm = self.layer_decay, self.clip_norm
        good = decay is None or 0 < decay <= 1
        self._require("layer_decay", good, "above 0 and at most 1, or None")
        good = norm is None or norm > 0
        self._require("clip_norm", good, "positive, or None")
        good = self.crop in CROP_FRACTIONS
        self._require("crop", good, f"one of {sorted(CROP_FRACTIONS)}")
        sized = dataclasses.replace(self.augmentation, size=self.image_size)
        object.__setattr__(self, "augmentation", sized)

    def _require(self, name: str, holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(
                f"`{name}` must be {what}. Received: "
                f"{name}={getattr(self, name)!r}"
            )

    def peak_learning_rate(self) -> float:
        """Returns the learning rate after the warm-up.

        Returns:
            The rate of the recipe, times the images of an update over those
            that it is meant for.
        """
        images = self.batch_size * self.accumulation_steps
        return self.learning_rate * images / self.learning_rate_batch

    def schedule(self, steps_per_epoch: int) -> WarmupCosineEpochs:
        """Returns the learning rate over the steps of a training.

        Args:
            steps_per_epoch: Number of steps of an epoch, of `batch_size`
                images each.

        Returns:
            The schedule.
        """
        return WarmupCosineEpochs(
            self.peak_learning_rate(),
            steps_per_epoch,
            self.epochs,
            self.warmup_epochs,
            self.warmup_learning_rate,
            self.end_learning_rate,
            self.schedule_delay,
        )

    def optimizer(
        self, model: keras.Model, steps_per_epoch: int
    ) -> ResumableAdamW:
        """Returns the optimizer of a training.

        Exemptions are lost where the model is saved and loaded with its
        optimizer; `exempt_from_decay` renews them.

        Args:
            model: The model that it will train.
            steps_per_epoch: Number of steps of an epoch.

        Returns:
            AdamW with the schedule and the exemptions of the recipe.
        """
        schedule = self.schedule(steps_per_epoch)
        exempt = without_decay_imagenet(model)
        options: dict[str, Any] = {"global_clipnorm": self.clip_norm}
        if self.ema_momentum is not None:
            options |= {"use_ema": True, "ema_momentum": self.ema_momentum}
        if self.accumulation_steps > 1:
            options["gradient_accumulation_steps"] = self.accumulation_steps
        if self.layer_decay is None:
            return adamw(schedule, self.weight_decay, exempt, **options)
        scales = layer_scales(model, self.layer_decay)
        optimizer = LayerDecayAdamW(
            schedule, self.weight_decay, scales, epsilon=1e-8, **options
        )
        optimizer.exclude_from_weight_decay(var_list=exempt)
        return optimizer

    def build(self, num_classes: int, **kwargs: Any) -> keras.Model:
        """Builds the model.

        It takes pixels. Its classifier is in float32: probabilities in
        float16 would spoil the loss.

        Args:
            num_classes: Number of classes.
            **kwargs: Arguments of `keras_twins.classifier`, in place of those
                of the recipe.

        Returns:
            A functional `keras.Model` from images of shape `(batch, size,
            size, 3)` to probabilities of shape `(batch, num_classes)`.
        """
        arguments: dict[str, Any] = {
            "weights": self.weights,
            "input_shape": (self.image_size, self.image_size, 3),
            "drop_path_rate": self.drop_path_rate,
            "gradient_checkpointing": self.gradient_checkpointing,
            "dtype": self.dtype,
            **kwargs,
        }
        body = classifier(
            self.variant, include_top=False, pooling="avg", **arguments
        )
        head = keras.layers.Dense(
            num_classes,
            activation="softmax",
            kernel_initializer=DenseNormal(),
            dtype="float32",
            name=HEAD,
        )
        model = keras.Model(body.input, head(body.output), name=body.name)
        # Decides about loss scaling.
        model.dtype_policy = body.dtype_policy
        return model

    def loss(self) -> keras.losses.Loss:
        """Returns the loss.

        Returns:
            Cross-entropy with targets that are mixed and smoothed already.
        """
        return keras.losses.CategoricalCrossentropy()


def _check_dtype(dtype: str) -> None:
    """Raises an error where weights would be too coarse to be trained."""
    policy = keras.dtype_policies.get(dtype)
    if policy.variable_dtype in ("float16", "bfloat16"):
        raise ValueError(
            "`dtype` must keep weights in float32: most updates of a training "
            f"are too small for {policy.variable_dtype}. Received: "
            f"dtype={dtype!r}; `mixed_{policy.variable_dtype}` would do."
        )
