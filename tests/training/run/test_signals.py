import signal
import threading

import pytest

from keras_twins.training.run import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_a_request(number, capfd):
    before = signal.getsignal(number)
    with StopSignals("ending") as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
    assert signal.getsignal(number) is before
    assert "ending" in capfd.readouterr().err


def test_second_signal_does_what_it_does():
    with pytest.raises(KeyboardInterrupt), StopSignals():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_threads_leave_signals_alone():
    found = []

    def run():
        with StopSignals() as stop:
            found.append(stop.requested)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [False]
