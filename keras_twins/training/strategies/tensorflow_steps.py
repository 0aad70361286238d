"""Steps of training and prediction for the strategies of `tf.distribute`."""

import types
from typing import TYPE_CHECKING
from typing import Any

import keras

from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

_COLLECTIVE = (
    "_apply_weight_decay",
    "_backend_increment_gradient_accumulators",
    "_backend_update_step",
    "_clip_gradients",
)
"""What optimizers do across replicas on TensorFlow."""


def reduce_first(optimizer: keras.optimizers.Optimizer) -> None:
    """Makes an optimizer sum the gradients of replicas before all else.

    Keras sums them after it has clipped those of each replica by itself, and
    after a check for overflow that may differ between replicas. When they are
    summed first, each replica does with its copy of the variables what a
    lone device does, and all the same; so gradient accumulation works, too.

    Args:
        optimizer: The optimizer of a compiled model. It is changed.
    """
    from keras.src.backend.tensorflow.optimizer import TFOptimizer
    from keras.src.optimizers.base_optimizer import BaseOptimizer

    from keras_twins.training.optimizer import ResumableAdamW

    if getattr(optimizer, "_reduces_first", False):
        return
    # The optimizer of mixed_float16 holds the one that updates.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for name in _COLLECTIVE:
        across = [getattr(kind, name) for kind in (TFOptimizer, ResumableAdamW)]
        if getattr(type(inner), name) in across:
            alone = getattr(BaseOptimizer, name)
            setattr(inner, name, types.MethodType(alone, inner))
    apply = optimizer.apply

    def apply_sums(
        grads: list[Tensor],
        trainable_variables: list[keras.Variable] | None = None,
    ) -> None:
        apply(_sum_over_replicas(grads), trainable_variables)

    optimizer.apply = apply_sums
    optimizer._reduces_first = True


def _sum_over_replicas(gradients: list[Tensor]) -> list[Tensor]:
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    found = [tf.convert_to_tensor(g) for g in gradients if g is not None]
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, found))
    return [None if g is None else next(sums) for g in gradients]


def draw_apart(model: keras.Model) -> None:
    """Makes each replica draw random numbers of its own in training.

    Else, row i of each replica's part would lose the same branches to
    stochastic depth. Between steps, the seeds are the same everywhere.

    Args:
        model: A compiled model. Its step of training is changed.
    """
    vars(model).pop("train_step", None)
    train_step = model.train_step
    seeds = [
        variable
        for variable in model.non_trainable_variables
        if variable.name == "seed_generator_state"
    ]

    def step(data: Any) -> Any:
        _mark_seeds(seeds)
        logs = train_step(data)
        _mark_seeds(seeds)
        return logs

    model.train_step = step


def _mark_seeds(seeds: list[keras.Variable]) -> None:
    """Makes the seeds those of this replica, and the second time undoes it."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    # Keras adds a seed and the number of the draw: the numbers of replicas
    # are far apart, and 0 for the first.
    number = tf.cast(context.replica_id_in_sync_group, "int64")
    number = tf.bitwise.bitwise_and(number * 0x9E3779B1, 0x7FFFFFFF)
    for seed in seeds:
        mark = tf.cast([number, 0], seed.dtype)
        seed.assign(tf.bitwise.bitwise_xor(seed.value, mark))


def build_from_own_part(
    model: keras.Model, strategy: "tf.distribute.Strategy"
) -> None:
    """Makes a model build its metrics from the first replica's part.

    Keras builds them from the mean of all replicas' images and labels, which
    it cannot compute in several processes, and reads a batch for it each time.

    Args:
        model: A compiled model. It is changed.
        strategy: The strategy that it was built with.
    """
    is_built = False

    def build(iterator: Any = None, data_batch: Any = None) -> None:
        nonlocal is_built
        if is_built:
            return
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = next(batches)
        part = keras.tree.map_structure(
            lambda value: strategy.experimental_local_results(value)[0],
            data_batch,
        )
        with strategy.scope():
            model._symbolic_build(data_batch=part)
        is_built = True

    model._maybe_symbolic_build = build


def mean_step(model: keras.Model, strategy: "tf.distribute.Strategy") -> Any:
    """Returns a step of training that averages the logs of all processes.

    Args:
        model: A compiled model.
        strategy: The strategy that it was built with.

    Returns:
        A function of an iterator, as `keras.Model.train_function`.

    Raises:
        ValueError: If the model makes several steps at once.
    """
    import tensorflow as tf

    if model.steps_per_execution != 1:
        raise ValueError(
            "`steps_per_execution` must be 1 in several processes of "
            f"TensorFlow. Received: {model.steps_per_execution}"
        )

    @tf.autograph.experimental.do_not_convert
    def step(iterator: "tf.distribute.DistributedIterator") -> Any:
        logs = strategy.run(model.train_step, args=(next(iterator),))
        return keras.tree.map_structure(
            lambda value: strategy.reduce("MEAN", value, axis=None), logs
        )

    if model.run_eagerly:
        return step
    return tf.function(step, reduce_retracing=True)


class LocalPrediction:
    """The `predict_function` of a model that keeps to this process's rows.

    Args:
        model: A built model.
        strategy: The strategy that it was built with.
    """

    def __init__(
        self, model: keras.Model, strategy: "tf.distribute.Strategy"
    ) -> None:
        import tensorflow as tf

        self._model = model
        self._strategy = strategy
        self._run = tf.function(
            tf.autograph.experimental.do_not_convert(self._rows),
            reduce_retracing=True,
        )

    def _rows(self, batch: Any) -> Any:
        outputs = self._strategy.run(self._model.predict_step, args=(batch,))
        return keras.tree.map_structure(self._join, outputs)

    def _join(self, output: Any) -> Tensor:
        import tensorflow as tf

        return tf.concat(self._strategy.experimental_local_results(output), 0)

    def __call__(self, batches: list[Any]) -> Any:
        """Returns the outputs for a few batches, one after the other."""
        import tensorflow as tf

        outputs = [self._run(batch) for batch in batches]
        return keras.tree.map_structure(
            lambda *parts: tf.concat(parts, 0), *outputs
        )
