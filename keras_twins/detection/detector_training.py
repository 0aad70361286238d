"""How detectors are trained, evaluated and asked, on every backend."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_twins import ops
from keras_twins.backbone.dense_model import DenseModel
from keras_twins.detection.batch_parts import checked_arrays
from keras_twins.detection.batches import as_batch
from keras_twins.detection.broken import mark_broken
from keras_twins.ops import Tensor

Batch = Mapping[str, Tensor]

_INPUTS = ("images", "image_sizes", "original_sizes")
_TRUTH = ("boxes", "labels", "valid", "masks")
_COMPILED = {"loss", "loss_weights", "metrics", "weighted_metrics"}


class DetectorTraining(DenseModel):
    """The steps of `fit`, `evaluate` and `predict`, and what they refuse.

    Abstract: a functional model with one input, images, that computes its
    losses itself.
    """

    num_classes: int
    bounding_box_format: str
    loss_means: dict[str, keras.metrics.Mean]

    def detection_losses(
        self, outputs: dict[str, Any], batch: Batch
    ) -> dict[str, Tensor]:
        """Returns each of the losses.

        Args:
            outputs: What `training_outputs` returned.
            batch: The same batch.

        Returns:
            Scalars by name.
        """
        raise NotImplementedError

    def compile(
        self,
        optimizer: Any = "rmsprop",
        jit_compile: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures the training.

        Args:
            optimizer: The optimizer.
            jit_compile: As in `keras.Model.compile`; `"auto"` is False where
                the compiler needs sizes and the model leaves them open.
            **kwargs: Other keywords of `keras.Model.compile`. Losses belong
                to the model, and what is scored is no loss: see
                `CocoCallback`.

        Raises:
            ValueError: If there are losses or metrics, or what cannot be
                compiled should be.
        """
        if unknown := sorted(_COMPILED & {k for k in kwargs if kwargs[k]}):
            raise ValueError(
                "Losses belong to a detector, and average precision comes from "
                "`keras_twins.detection.CocoCallback`: `compile` takes neither "
                f"losses nor metrics. Received: {', '.join(unknown)}"
            )
        # As it was asked for: another backend may decide otherwise.
        self._asked_jit_compile = jit_compile
        if jit_compile and self._is_too_open():
            if jit_compile != "auto":
                raise ValueError(
                    "XLA needs the sizes of images. Build the model with a "
                    "fixed `image_shape` and pad all batches to it "
                    "(`fixed_size` of `detection_batches`), or leave "
                    f"`jit_compile` out. Received: {jit_compile=}"
                )
            jit_compile = False
        super().compile(optimizer, jit_compile=jit_compile, **kwargs)

    def get_compile_config(self) -> dict[str, Any]:
        config = super().get_compile_config()
        if config:
            config["jit_compile"] = self._asked_jit_compile
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras' own refuses classes whose `compile` is another one.
        config = dict(keras.saving.deserialize_keras_object(config))
        if self._is_too_open():
            config["jit_compile"] = "auto"
        self.compile(**config)
        # The file has the state of the optimizer for variables that are there.
        self.optimizer.build(self.trainable_variables)

    def _is_too_open(self) -> bool:
        """Returns whether a compiler misses the sizes of images."""
        is_open = None in self.inputs[0].shape[1:3]
        return is_open and not ops.compiles_open_sizes()

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any):
        for name in ("class_weight", "sample_weight"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"Detectors take no `{name}`. Leave out what should not "
                    f"count: mark its boxes as padding. Received: {name}"
                )
        data = kwargs.get("validation_data")
        if isinstance(data, Mapping):
            kwargs["validation_data"] = checked_arrays(data)[0]
        elif isinstance(data, tuple) and len(data) == 2:
            kwargs["validation_data"] = checked_arrays(*data)
        return super().fit(*checked_arrays(x, y), *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any):
        return super().evaluate(*checked_arrays(x, y), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any):
        return super().predict(checked_arrays(x)[0], *args, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any):
        return super().train_on_batch(*checked_arrays(x, y), *args, **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any):
        return super().test_on_batch(*checked_arrays(x, y), *args, **kwargs)

    def predict_on_batch(self, x: Any):
        return super().predict_on_batch(checked_arrays(x)[0])

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        losses = self.detection_losses(y_pred, x)
        # As Keras weighs the loss: by images.
        images = keras.ops.cast(keras.ops.shape(x["images"])[0], "float32")
        for name, value in losses.items():
            self.loss_means[name].update_state(value, sample_weight=images)
        # Those of layers, such as regularization, as well.
        total = sum((*losses.values(), *self.losses))
        if "broken" in x:
            total = keras.ops.where(x["broken"], float("nan"), total)
        return ops.share_of_replica(total)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        return self.get_metrics_result()

    def train_step(self, *args: Any) -> Any:
        # JAX' trainer has its state before the data.
        *state, data = args
        return super().train_step(*state, self._with_truth(data))

    def test_step(self, *args: Any) -> Any:
        *state, data = args
        return super().test_step(*state, self._with_truth(data))

    def predict_step(self, *args: Any) -> Any:
        *state, data = args
        batch = as_batch(data, self.bounding_box_format)
        return super().predict_step(*state, (_tensors(batch, _INPUTS),))

    def _maybe_symbolic_build(self, iterator: Any = None, **_: Any) -> None:
        # Keras on TensorFlow would average a batch over the replicas, which
        # it cannot where there are flags. The graph is built without it.
        super()._maybe_symbolic_build(data_batch={})

    def _with_truth(self, data: Any) -> Batch:
        batch = as_batch(data, self.bounding_box_format)
        wanted = ("images", "boxes", *self.truth_keys())
        if missing := [key for key in wanted if key not in batch]:
            raise ValueError(
                f"{type(self).__name__} is trained and evaluated on batches "
                f"with {', '.join(wanted)}; 'valid' may be left out, if "
                "padding has labels below 0. Missing: "
                f"{', '.join(missing)}. Received: keys {sorted(batch)}"
            )
        return mark_broken(
            _tensors(batch, (*_INPUTS, *_TRUTH)), self.num_classes
        )

    def truth_keys(self) -> tuple[str, ...]:
        """Returns which keys of a batch the losses need."""
        return ("labels",)


def _tensors(batch: Batch, keys: Sequence[str]) -> Batch:
    """Returns what a detector takes of a batch; `train_on_batch` has arrays."""
    return {
        key: keras.ops.convert_to_tensor(batch[key])
        for key in keys
        if key in batch
    }
