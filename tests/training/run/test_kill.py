"""Trainings that are killed at any point end as if they had not been."""

import multiprocessing
import random
import signal
import time

import pytest

from tests.training.run import small
from tests.training.run import worker
from tests.training.run.testers import assert_same_training


@pytest.fixture
def start():
    """Starts a training in a process of its own.

    They are copies of one that has imported everything, which takes longer
    than the training.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([worker.__name__])

    def start(folder, seconds, **arguments):
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(
            target=worker.main, args=(writer, folder, seconds, arguments)
        )
        process.start()
        writer.close()
        return process, reader

    return start


def kill_after(process, events, event, count, delay):
    """Returns whether it was still at work."""
    try:
        while count:
            count -= events.recv() == event
    except EOFError:
        process.join()
        return False
    time.sleep(delay)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def run_to_the_end(process, events):
    with pytest.raises(EOFError):
        while True:
            last = events.recv()
    process.join()
    assert (last, process.exitcode) == ("finished", 0)


def check(start, tmp_path, kills, epochs):
    chance = random.Random(5)
    folder = tmp_path / "killed"
    arguments = {"save_steps": 2, "epochs": epochs}
    done = 0
    while done < kills:
        process, events = start(folder, 0.01, **arguments)
        event = chance.choice(["step", "write"])
        count = chance.randint(1, 4)
        delay = chance.uniform(0, 0.02)
        done += kill_after(process, events, event, count, delay)
    run_to_the_end(*start(folder, 0, **arguments))
    expected = small.fit(tmp_path / "whole", small.model(), epochs=epochs)
    result = small.fit(folder, small.model(), epochs=epochs)
    assert result.step == expected.step == epochs * small.STEPS
    assert_same_training(
        folder, tmp_path / "whole", result.history, expected.history
    )
    # Two checkpoints and the best one: nothing half-written is left.
    assert len(list((folder / "checkpoints").iterdir())) == 3


def test_killed_training_equals_one_that_was_not(start, tmp_path):
    check(start, tmp_path, kills=3, epochs=3)


@pytest.mark.slow
def test_training_that_is_killed_often(start, tmp_path):
    check(start, tmp_path, kills=20, epochs=12)
