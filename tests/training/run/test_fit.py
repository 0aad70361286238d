import csv
import signal
import warnings

import keras
import numpy as np
import pytest

from keras_twins.training.run import CheckpointFolder
from keras_twins.training.run import CheckpointMismatchError
from keras_twins.training.run import CheckpointWriteError
from keras_twins.training.run import CorruptCheckpointError
from keras_twins.training.run import NonFiniteLossError
from tests.training.run import small
from tests.training.run.testers import after_step
from tests.training.run.testers import assert_same_training
from tests.training.run.testers import interrupt_after
from tests.training.run.testers import no_file_above


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, small.fit(folder, small.model())


# The end of an epoch, the first step of all, the middle and an end less one.
@pytest.mark.parametrize("step", [5, 1, 7, 9])
def test_resumed_training_equals_an_uninterrupted_one(
    tmp_path, monkeypatch, uninterrupted, step
):
    with monkeypatch.context() as patch:
        interrupt_after(patch, step)
        first = small.fit(tmp_path, small.model())
    assert (first.status, first.step) == ("interrupted", step)
    # Another seed: nothing may come from the new model.
    second = small.fit(tmp_path, small.model(seed=99))
    assert (second.status, second.step) == ("finished", 15)
    folder, expected = uninterrupted
    assert_same_training(tmp_path, folder, second.history, expected.history)


def test_history_is_what_training_measured(uninterrupted):
    _, result = uninterrupted
    history = result.history
    assert set(history) == {"step", "learning_rate", "loss", "top1", "val_top1"}
    assert history["step"] == [5, 10, 15]
    # The rate of the last step of each epoch: warm-up until step 7.
    rates = [0.05 * (1 - n / 100) for n in (4, 9, 14)]
    rates[0] *= 1e-6 + (1 - 1e-6) * 4 / 7
    np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-5)
    assert len(set(history["loss"])) == 3


def test_finished_training_is_not_trained_again(tmp_path):
    first = small.fit(tmp_path, epochs=1)
    again = small.plain_model()
    kernel = again.get_layer("last").kernel
    kernel.assign(np.zeros((6, 3)))
    second = small.fit(tmp_path, again, epochs=1)
    assert second.history == first.history
    assert keras.ops.convert_to_numpy(kernel).any()


def test_interruption_during_validation_costs_no_step(tmp_path, uninterrupted):
    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small.fit(tmp_path, small.model(), validate=interrupted)
    checkpoint = CheckpointFolder(tmp_path / "checkpoints").latest()
    assert checkpoint.state["step"] == small.STEPS
    trained = []
    second = small.fit(
        tmp_path,
        small.model(seed=99),
        batches=lambda s: trained.append(s) or small.batches(s),
    )
    # The first call only looks at the shapes.
    assert trained[-1] == small.STEPS
    folder, expected = uninterrupted
    assert_same_training(tmp_path, folder, second.history, expected.history)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_after_the_step(tmp_path, monkeypatch, capfd, number):
    interrupt_after(monkeypatch, 3, number)
    before = signal.getsignal(number)
    result = small.fit(tmp_path)
    assert (result.status, result.step) == ("interrupted", 3)
    assert result.checkpoint.name.endswith("3.safetensors")
    assert "Once more ends it at once" in capfd.readouterr().err
    assert signal.getsignal(number) is before


def test_second_signal_ends_at_once(tmp_path, monkeypatch):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    after_step(monkeypatch, 3, twice)
    with pytest.raises(KeyboardInterrupt):
        small.fit(tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_loss_that_is_not_finite_ends_the_training(tmp_path):
    def batches(step):
        for inputs, targets in small.batches(step):
            yield inputs * (np.nan if step == 6 else 1), targets
            step += 1

    with pytest.raises(NonFiniteLossError, match="loss.*epoch 2.*-0*5.safe"):
        small.fit(tmp_path, batches=batches)
    # What was good can be trained on.
    assert small.fit(tmp_path).status == "finished"


def test_weights_that_are_not_finite_are_not_saved(tmp_path, monkeypatch):
    broken = small.plain_model()
    kernel = broken.get_layer("last").kernel

    def spoil():
        # On JAX, the weights are not in the model between two steps.
        getattr(broken, "jax_state_sync", lambda: None)()
        kernel.assign(np.full((6, 3), np.inf))

    after_step(monkeypatch, 8, spoil)
    with pytest.raises(NonFiniteLossError, match="weight.*step 8"):
        small.fit(tmp_path, broken, save_steps=3)
    assert CheckpointFolder(tmp_path / "checkpoints").latest().state["step"] < 8


def test_full_disk_does_not_end_the_training(tmp_path):
    small.fit(tmp_path, epochs=1)
    with (
        pytest.warns(UserWarning, match="could not be written"),
        pytest.raises(CheckpointWriteError, match="-0*5.safetensors"),
        no_file_above(1000),
    ):
        small.fit(tmp_path, epochs=2)
    names = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert sorted(names) == ["best.safetensors", "step-0000000005.safetensors"]
    assert small.fit(tmp_path, epochs=2).status == "finished"


def test_disk_that_has_room_again_is_used(tmp_path, monkeypatch):
    limit = no_file_above(1000)
    after_step(monkeypatch, 9, lambda: limit.__exit__(None, None, None))
    with pytest.warns(UserWarning, match="could not be written"):
        limit.__enter__()
        result = small.fit(tmp_path, epochs=2, save_steps=3)
    assert result.checkpoint.name == "step-0000000010.safetensors"


def test_damaged_newest_checkpoint_is_passed_over(tmp_path, uninterrupted):
    small.fit(tmp_path, small.model(), epochs=2)
    newest = CheckpointFolder(tmp_path / "checkpoints").newest()
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=f"{newest.name}.*goes on from"):
        result = small.fit(tmp_path, small.model(seed=99))
    folder, expected = uninterrupted
    assert_same_training(tmp_path, folder, result.history, expected.history)


def test_damaged_checkpoints_are_no_reason_to_begin_anew(tmp_path):
    small.fit(tmp_path, epochs=2)
    for path in (tmp_path / "checkpoints").glob("step-*"):
        path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(CorruptCheckpointError, match="No checkpoint of"):
            small.fit(tmp_path)


def test_other_configuration_is_refused(tmp_path):
    settings = {"recipe": {"epochs": 1, "crop": (1, 2)}, "seed": 0}
    small.fit(tmp_path, epochs=1, configuration=settings)
    small.fit(tmp_path, epochs=1, configuration=settings)
    other = {**settings, "recipe": {"epochs": 2, "crop": (1, 2)}}
    with pytest.raises(
        CheckpointMismatchError, match="recipe.epochs was 1, is 2.*accept"
    ):
        small.fit(tmp_path, epochs=2, configuration=other)
    changed = {"configuration": other, "accept_changes": True}
    assert small.fit(tmp_path, epochs=2, **changed).step == 10


def test_other_number_of_steps_is_refused(tmp_path):
    small.fit(tmp_path, epochs=1)
    with pytest.raises(CheckpointMismatchError, match="5 steps an epoch"):
        small.fit(tmp_path, steps_per_epoch=6)


def test_best_epoch_is_kept(tmp_path):
    scores = iter([0.2, 0.9, 0.4])
    result = small.fit(tmp_path, validate=lambda _: {"val_top1": next(scores)})
    assert result.best == {"value": 0.9, "epoch": 2, "step": 10}
    best = CheckpointFolder(tmp_path / "checkpoints").best()
    assert best.state["step"] == 10


def test_log_has_no_row_twice(tmp_path):
    small.fit(tmp_path, epochs=2)
    log = tmp_path / "log.csv"
    # As if the process had been killed after the log, before the checkpoint.
    log.write_text(log.read_text() + "3,15,0.1\n")
    small.fit(tmp_path)
    with log.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[2]["val_top1"]) <= 1
    assert float(rows[2]["images_per_second"]) > 0


def test_batches_that_end_are_refused(tmp_path):
    def batches(step):
        yield from [small.batch(step)] * 7

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        with pytest.raises(ValueError, match="without end.*of 5 steps"):
            small.fit(tmp_path, batches=batches)


def test_numbers_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="epochs=0"):
        small.fit(tmp_path, epochs=0)
