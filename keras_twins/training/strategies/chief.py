"""What one process does for all."""

from collections.abc import Callable

import numpy as np

from keras_twins.training.strategies.base import Distribution


def on_chief(distribution: Distribution, action: Callable[[], object]) -> None:
    """Has the first process do something, while the others wait for it.

    Where it fails, it fails in all of them: none waits for ever.

    Args:
        distribution: The processes; all of them call this.
        action: What is done; it may not talk to the other processes.

    Raises:
        ChildProcessError: In the others, if the first one has failed. That one
            raises its own error.
    """
    error: Exception | None = None
    if distribution.is_chief:
        try:
            action()
        except Exception as caught:
            error = caught
    failed = np.array([error is not None], "int32")
    total = distribution.sum_arrays([failed])[0][0]
    if error is not None:
        raise error
    if total:
        raise ChildProcessError("The first process has failed, and says why.")
