"""A training that can be ended at any time, and goes on where it was."""

import os
import pathlib
import sys
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import TextIO

import keras

from keras_twins.training.run.building import build_for_training
from keras_twins.training.run.building import check_model
from keras_twins.training.run.callbacks import TrainingCallback
from keras_twins.training.run.checkpoints import Checkpoint
from keras_twins.training.run.checkpoints import CheckpointFolder
from keras_twins.training.run.lazy_callbacks import LazyCallbackList
from keras_twins.training.run.logs import RunLogs
from keras_twins.training.run.progress import Progress
from keras_twins.training.run.result import FitResult
from keras_twins.training.run.resuming import find_checkpoint
from keras_twins.training.run.resuming import plain
from keras_twins.training.run.resuming import resumed_state
from keras_twins.training.run.saving import Saver
from keras_twins.training.run.signals import StopSignals
from keras_twins.training.run.state import TrainingState
from keras_twins.training.run.state import TrainingVariables
from keras_twins.training.strategies import Distribution
from keras_twins.training.strategies import SingleDevice
from keras_twins.training.strategies import on_chief

_NOTE = (
    "The training ends after this step with a checkpoint. Once more ends it "
    "at once."
)


def fit_resumable(
    model: keras.Model,
    batches: Callable[[int], Any],
    *,
    epochs: int,
    steps_per_epoch: int,
    folder: str | os.PathLike[str],
    images_per_step: int,
    save_seconds: float | None = None,
    save_steps: int | None = None,
    keep: int = 2,
    validate: Callable[[keras.Model], dict[str, float]] | None = None,
    monitor: str = "val_top1",
    distribution: Distribution | None = None,
    verbose: bool = True,
    tensorboard: bool = True,
    configuration: Mapping[str, Any] | None = None,
    accept_changes: bool = False,
    begin: Callable[[], object] | None = None,
) -> FitResult:
    """Trains a model with `fit`, or goes on with a training of this folder.

    A training that was ended at any time, by Ctrl-C, by SIGTERM or by a power
    cut, goes on from its newest checkpoint as if nothing had happened, if
    called with the same arguments: weights, optimizer, moving averages, random
    numbers, metrics and history are those of a training that was not ended.
    There is a checkpoint after every epoch and, if it is validated, before
    its validation.

    The folder gets `checkpoints` (the newest ones and `best.safetensors`),
    `log.csv`, `curves.png` and `tensorboard`.

    Args:
        model: A built model, compiled; with moving averages, by an optimizer
            such as `keras_twins.training.adamw` returns.
        batches: From the number of steps so far to the batches from there on,
            without end, as `fit` takes them. They must follow from the number
            alone.
        epochs: Number of epochs, from the very beginning.
        steps_per_epoch: Number of steps of an epoch.
        folder: Folder of the training, which all processes see.
        images_per_step: Images of a step, over all devices.
        save_seconds: Time between checkpoints within an epoch.
        save_steps: Steps between checkpoints within an epoch. Several
            processes look every five seconds, or every 20 steps, whether one
            is due.
        keep: Number of checkpoints that are kept, beside the best one.
        validate: From the model to scores of held-out data, by names that
            begin with `val_`; called after every epoch, by every process.
        monitor: Which of the scores says what is best: the largest, or the
            smallest if the name ends with `loss`.
        distribution: Where the model was built and compiled; by default, on
            one device.
        verbose: Whether to show the progress.
        tensorboard: Whether to write event files.
        configuration: What the training does, whatever JSON can hold. A
            checkpoint of another configuration is refused.
        accept_changes: Whether to go on from it anyway.
        begin: Called by the first process once the folder is known to be of
            this training, before its first step.

    Returns:
        History and end of the training.

    Raises:
        CheckpointMismatchError: If the folder has another training.
        CheckpointWriteError: If the last state could not be written.
        CorruptCheckpointError: If the folder has checkpoints, but all are
            damaged.
        NonFiniteLossError: If the loss is NaN or infinite.
        ValueError: If an argument is out of range, or the model cannot be
            trained so.

    Example:

    ```python
    import tempfile

    import numpy as np

    from keras_twins.training.run import fit_resumable

    def batches(step):
        while True:
            inputs = np.random.default_rng(step).normal(size=(4, 3))
            yield inputs, inputs[:, :1]
            step += 1

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with tempfile.TemporaryDirectory() as folder:
        result = fit_resumable(
            model,
            batches,
            epochs=2,
            steps_per_epoch=3,
            folder=folder,
            images_per_step=4,
            verbose=False,
        )
    ```
    """
    distribution = distribution or SingleDevice()
    _check_arguments(model, epochs, steps_per_epoch, images_per_step)
    checkpoints = CheckpointFolder(pathlib.Path(folder, "checkpoints"), keep)
    state = TrainingState(
        steps_per_epoch=steps_per_epoch, configuration=plain(configuration)
    )
    with distribution.scope(), StopSignals(_NOTE) as stop:
        build_for_training(model, batches)
        variables = TrainingVariables(model, distribution)
        found = find_checkpoint(checkpoints, distribution)
        state = resumed_state(found, state, accept_changes)
        on_chief(distribution, begin or _nothing)
        saver = Saver(
            checkpoints, variables, distribution, save_seconds, save_steps
        )
        shown = _stream(verbose, distribution)
        progress = Progress(state, epochs, images_per_step, shown)
        logs = RunLogs(folder, tensorboard, enabled=distribution.is_chief)
        callback = TrainingCallback(
            state, saver, progress, logs, stop, distribution, validate, monitor
        )
        if found is not None:
            _restore(variables, found, state, callback, saver)
            progress.note(f"The training goes on from {found.path}.")
        saver.begin(state.step)
        del found
        with logs.of(state):
            _train(model, batches, epochs, state, callback, distribution)
        saver.finish(state)
    return _result(state, callback.interrupted, checkpoints)


def _nothing() -> None:
    """What is done where nothing is asked for."""


def _stream(verbose: bool, distribution: Distribution) -> TextIO | None:
    return sys.stdout if verbose and distribution.is_chief else None


def _result(
    state: TrainingState, interrupted: bool, checkpoints: CheckpointFolder
) -> FitResult:
    return FitResult(
        history=state.history,
        status="interrupted" if interrupted else "finished",
        step=state.step,
        best=state.best,
        checkpoint=checkpoints.newest(),
    )


def _restore(
    variables: TrainingVariables,
    found: Checkpoint,
    state: TrainingState,
    callback: TrainingCallback,
    saver: Saver,
) -> None:
    variables.write(found.arrays)
    saver.mark_again(state)
    if 0 < state.offset < state.steps_per_epoch:
        metrics = variables.metrics_of(found.arrays)
        callback.restore_metrics = lambda: variables.write(metrics)


def _train(
    model: keras.Model,
    batches: Callable[[int], Any],
    epochs: int,
    state: TrainingState,
    callback: TrainingCallback,
    distribution: Distribution,
) -> None:
    """Calls `fit` for the rest of an epoch, if there is one, then for all."""
    callback.set_model(model)
    if state.pending is not None:
        callback.finish_epoch(state.pending)
    while state.epoch < epochs and not callback.interrupted:
        steps = state.steps_per_epoch - state.offset
        last = state.epoch + 1 if state.offset else epochs
        callbacks = LazyCallbackList(
            callbacks=[callback],
            add_history=True,
            model=model,
            epochs=last,
            steps=steps,
            verbose=0,
        )
        model.fit(
            distribution.adapt(batches(state.step)),
            initial_epoch=state.epoch,
            epochs=last,
            steps_per_epoch=steps,
            shuffle=False,
            callbacks=callbacks,  # pyright: ignore
            verbose=0,  # pyright: ignore
        )


def _check_arguments(
    model: keras.Model, epochs: int, steps_per_epoch: int, images_per_step: int
) -> None:
    if min(epochs, steps_per_epoch, images_per_step) < 1:
        raise ValueError(
            "`epochs`, `steps_per_epoch` and `images_per_step` must be "
            f"positive. Received: {epochs=}, {steps_per_epoch=}, "
            f"{images_per_step=}"
        )
    check_model(model, steps_per_epoch)
