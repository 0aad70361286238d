import keras

from keras_twins.benchmark.keras_steps import keras_program
from keras_twins.benchmark.task import Task
from tests import tiny

TASK = Task(variant="tiny", config=tiny.SVT.to_dict(), size=64)


def test_parameters_are_the_trainable_values():
    def model():
        frozen = keras.layers.Dense(5, trainable=False)
        norm = keras.layers.BatchNormalization()
        return keras.Sequential(
            [keras.Input((64, 64, 3)), keras.layers.Dense(2), norm, frozen]
        )

    # Kernel and bias; gamma and beta, but no moments.
    assert keras_program(TASK, model).parameters == 3 * 2 + 2 + 2 * 2
