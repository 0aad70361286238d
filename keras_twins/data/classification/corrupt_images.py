"""Files that cannot be decoded: an error that names them, or left out."""

import logging
import threading

POLICIES = ("error", "skip")

_logger = logging.getLogger(__name__)


class CorruptImages:
    """What is done with images that cannot be decoded, and which they were.

    Only what an image holds counts: a file that cannot be read at all ends
    the iteration with TensorFlow's error, which names it.

    Args:
        policy: `"error"`: the first one ends the iteration with a
            `tf.errors.InvalidArgumentError` that names the file. `"skip"`:
            each is logged once and counted. In training, the next image of
            the batch takes its place; in evaluation, it is not valid.

    Raises:
        ValueError: If `policy` is unknown.

    Example:

    ```python
    from keras_twins.data.classification.corrupt_images import CorruptImages

    corrupt = CorruptImages("skip")
    ```
    """

    def __init__(self, policy: str = "error") -> None:
        if policy not in POLICIES:
            raise ValueError(
                f"`policy` must be one of {', '.join(POLICIES)}. Received: "
                f"policy={policy!r}"
            )
        self.policy = policy
        self._count = 0
        # As a set that keeps its order.
        self._names: dict[str, None] = {}
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How often an image has been left out, in all passes so far."""
        return self._count

    @property
    def names(self) -> tuple[str, ...]:
        """Files that have been left out, each once."""
        return tuple(self._names)

    def note(self, name: str, reason: str) -> None:
        """Notes an image that cannot be decoded.

        Args:
            name: Its file.
            reason: Why it cannot be decoded.

        Raises:
            ValueError: If the policy is `"error"`.
        """
        if self.policy == "error":
            raise ValueError(
                f"{name} cannot be decoded: {reason}. Replace or remove the "
                'file, or leave out such files: `CorruptImages("skip")`, or '
                "--corrupt skip."
            )
        with self._lock:
            known = name in self._names
            self._names[name] = None
            self._count += 1
        if not known:
            _logger.warning("%s is left out: %s", name, reason)
