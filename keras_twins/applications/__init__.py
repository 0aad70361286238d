"""The six published classifiers, in the manner of `keras.applications`."""

from keras_twins.applications.classifier import classifier
from keras_twins.applications.classifier import reset_classifier
from keras_twins.applications.constructors import CONSTRUCTORS
from keras_twins.applications.constructors import TwinsPCPVTBase
from keras_twins.applications.constructors import TwinsPCPVTLarge
from keras_twins.applications.constructors import TwinsPCPVTSmall
from keras_twins.applications.constructors import TwinsSVTBase
from keras_twins.applications.constructors import TwinsSVTLarge
from keras_twins.applications.constructors import TwinsSVTSmall
from keras_twins.applications.constructors import list_models
from keras_twins.applications.constructors import preprocess_input

__all__ = [
    "CONSTRUCTORS",
    "TwinsPCPVTBase",
    "TwinsPCPVTLarge",
    "TwinsPCPVTSmall",
    "TwinsSVTBase",
    "TwinsSVTLarge",
    "TwinsSVTSmall",
    "classifier",
    "list_models",
    "preprocess_input",
    "reset_classifier",
]
