"""How fast batches come, and whether a model would wait for them."""

import dataclasses
import itertools
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any


@dataclasses.dataclass(frozen=True)
class LoadingSpeed:
    """What was measured of a stream of batches.

    Args:
        images: Images that came.
        seconds: Time in all.
        waiting_seconds: Time in which the next batch was waited for.
        step_seconds: Time of the steps; `None` where there were none.
    """

    images: int
    seconds: float
    waiting_seconds: float
    step_seconds: float | None = None

    @property
    def images_per_second(self) -> float:
        """Images per second, steps included."""
        return self.images / self.seconds

    @property
    def waiting_share(self) -> float:
        """Share of the time in which the next batch was waited for."""
        return self.waiting_seconds / self.seconds

    def to_dict(self) -> dict[str, float | int | None]:
        """Returns everything as a dictionary that JSON can hold."""
        return {
            **dataclasses.asdict(self),
            "images_per_second": self.images_per_second,
            "waiting_share": self.waiting_share,
        }


def measure_loading(
    batches: Iterable[Any],
    batch_size: int,
    seconds: float = 10.0,
    step: Callable[[Any], object] | None = None,
    warmup: int = 2,
) -> LoadingSpeed:
    """Measures how fast batches come.

    Args:
        batches: The batches, such as `image_batches(...)`.
        batch_size: Images in a batch of this process.
        seconds: Time after which no further batch is asked for.
        step: What is done with each batch, such as a training step of a model
            that ends when its result is there. By default nothing: the speed
            of the loader alone.
        warmup: Batches at the beginning that are not counted.

    Returns:
        A `LoadingSpeed`.

    Raises:
        ValueError: If `seconds` is not positive, or there is no batch after
            those of the warm-up.

    Example:

    ```python
    from keras_twins.data.classification.throughput import measure_loading

    speed = measure_loading([None] * 10, batch_size=32, step=lambda batch: 0)
    ```
    """
    if seconds <= 0:
        raise ValueError(
            f"`seconds` must be positive. Received: seconds={seconds}"
        )
    stream = iter(batches)
    for batch in itertools.islice(stream, warmup):
        if step is not None:
            step(batch)
    begin = time.perf_counter()
    count, waited = _run(stream, begin + seconds, step)
    total = time.perf_counter() - begin
    if not count:
        raise ValueError(
            f"There must be more batches than the {warmup} of the warm-up. "
            "Received: no further batch"
        )
    working = None if step is None else total - waited
    return LoadingSpeed(count * batch_size, total, waited, working)


def _run(
    stream: Iterator[Any],
    end: float,
    step: Callable[[Any], object] | None,
) -> tuple[int, float]:
    """Returns how many batches came, and how long they were waited for."""
    count, waited = 0, 0.0
    while (asked := time.perf_counter()) < end:
        batch = next(stream, stream)
        waited += time.perf_counter() - asked
        if batch is stream:
            break
        count += 1
        if step is not None:
            step(batch)
    return count, waited
