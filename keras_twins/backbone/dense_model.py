"""What models on the pyramid of a backbone share: how they are saved."""

from collections.abc import Callable
from typing import Any
from typing import Self

import keras

from keras_twins.backbone.functional import frozen_layers
from keras_twins.backbone.functional import restore_trainable
from keras_twins.backbone.pyramid import level_sources
from keras_twins.backbone.pyramid import restore_levels
from keras_twins.layers.composite import serialize_dtype


class DenseModel(keras.Model):
    """A functional model that stands on a backbone with a pyramid.

    Abstract: subclasses set `_get_backbone` and `dtype_policy`, add their own
    arguments to `get_config`, and take `backbone`, `dtype` and `name` in
    `__init__`.
    """

    _get_backbone: Callable[[], keras.Model]

    @property
    def backbone(self) -> keras.Model:
        """The backbone; its layers are this model's."""
        return self._get_backbone()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that all such models have, and what is frozen.

        Returns:
            A configuration for `from_config`.
        """
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "level_sources": level_sources(self.backbone),
            "dtype": serialize_dtype(self),
            "name": self.name,
            "trainable": self.trainable,
            "frozen_layers": frozen_layers(self),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Self:
        """Builds the model that `get_config` was called on.

        Args:
            config: The configuration.
            custom_objects: Classes that are not registered.

        Returns:
            The model.
        """
        config = dict(config)
        trainable = config.pop("trainable", True)
        frozen = config.pop("frozen_layers", None)
        config["backbone"] = keras.saving.deserialize_keras_object(
            config["backbone"], custom_objects=custom_objects
        )
        if sources := config.pop("level_sources", None):
            restore_levels(config["backbone"], sources)
        config["dtype"] = keras.dtype_policies.deserialize(config["dtype"])
        model = cls(**config)
        restore_trainable(model, trainable, frozen)
        return model
