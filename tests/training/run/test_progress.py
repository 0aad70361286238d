import io

import pytest

from keras_twins.training.run import progress
from keras_twins.training.run.progress import Progress
from keras_twins.training.run.progress import format_seconds
from keras_twins.training.run.state import TrainingState


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes where the test puts it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def run(stream, clock, steps=50):
    """Half of the second of four epochs of 100 steps, 0.1 s each."""
    state = TrainingState(steps_per_epoch=100, step=100)
    state.rows = [{"loss": 3.0}]
    shown = Progress(state, 4, 8, stream)
    shown.begin()
    clock[0] += 30
    state.step += 1
    shown.mark()
    clock[0] += 0.1 * (steps - 1)
    state.step += steps - 1
    shown.step({"loss": 1.25})
    return state, shown


def test_terminal_shows_speed_and_time_left(clock):
    stream = Terminal()
    run(stream, clock)
    line = stream.getvalue()
    assert line.startswith("\r") and "\n" not in line
    # The first step, which compiles, does not count: 8 images in 0.1 s.
    assert "epoch 2/4 [==========          ] 50/100 80 images/s" in line
    assert "5.0 s for the epoch, 25 s in all" in line


def test_line_is_not_longer_than_the_terminal(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    run(stream, clock)
    assert len(stream.getvalue().removeprefix("\r\x1b[K")) == 39


def test_log_has_a_line_for_each_epoch(clock):
    stream = io.StringIO()
    state, shown = run(stream, clock)
    assert not stream.getvalue()
    clock[0] += 5
    state.step += 50
    shown.end_steps()
    clock[0] += 3
    state.rows.append({"loss": 1.25})
    shown.end({"loss": 1.25, "val_top1": 0.5}, 43.0)
    # Two epochs of 10 s, and 3 s at the end of each.
    assert stream.getvalue() == (
        "epoch 2/4: loss 1.25, val_top1 0.5, 80 images/s, 43 s, 26 s left\n"
    )


def test_scores_that_are_not_known_are_a_dash(clock):
    stream = io.StringIO()
    _, shown = run(stream, clock)
    nothing = float("nan")
    shown.end({"val_box_APm": nothing, "val_loss": nothing}, 43.0)
    assert ": val_box_APm -, val_loss nan, " in stream.getvalue()


def test_line_of_an_epoch_takes_the_place_of_the_bar(clock):
    stream = Terminal()
    state, shown = run(stream, clock, steps=100)
    state.rows.append({"loss": 1.25})
    shown.end_steps()
    shown.end({"loss": 1.25}, 10.0)
    assert "\r\x1b[Kepoch 2/4: loss 1.25" in stream.getvalue()


def test_nothing_is_shown_without_a_stream(clock):
    _, shown = run(None, clock)
    shown.end({"loss": 1.0}, 1.0)
    assert shown.images_per_second() == pytest.approx(80)


def test_numbers_are_looked_at_once_a_second(clock):
    state = TrainingState(steps_per_epoch=100)
    shown = Progress(state, 1, 8)
    assert not shown.is_due()
    clock[0] += 1
    assert shown.is_due()
    shown.step({})
    assert not shown.is_due()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.26, "1.3 s"),
        (42, "42 s"),
        (125, "2:05 min"),
        (3 * 3600 + 240, "3:04 h"),
        (2 * 86_400 + 3 * 3600, "2 d 3:00 h"),
    ],
)
def test_times_as_people_read_them(seconds, text):
    assert format_seconds(seconds) == text
