"""Times programs in turns, so that what else happens meets all of them."""

import statistics
import time
from collections.abc import Callable
from collections.abc import Sequence

Program = Callable[[], object]

_MIN_ROUNDS = 3
_MAX_ROUNDS = 30


def time_in_turns(
    programs: Sequence[Program], seconds: float = 2.0
) -> list[float]:
    """Measures how long programs take, one after the other, many times.

    Args:
        programs: What is run; each once more before, to warm up.
        seconds: Time after which no new round begins, once there were three.

    Returns:
        The median for each program, in seconds.
    """
    for program in programs:
        program()
    runs: list[list[float]] = [[] for _ in programs]
    start = time.perf_counter()
    for number in range(_MAX_ROUNDS):
        if number >= _MIN_ROUNDS and time.perf_counter() - start > seconds:
            break
        # Every other round goes backwards: nobody always follows another.
        order = range(len(programs))
        for index in reversed(order) if number % 2 else order:
            runs[index].append(_seconds(programs[index]))
    return [statistics.median(values) for values in runs]


def _seconds(program: Program) -> float:
    start = time.perf_counter()
    program()
    return time.perf_counter() - start
