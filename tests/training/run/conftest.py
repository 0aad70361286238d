import signal

import pytest


@pytest.fixture(autouse=True)
def keyboard_interrupts():
    """Ctrl-C is heard, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
