"""Which of the devices of a machine take part."""

from collections.abc import Sequence


def choose_devices(
    devices: int | Sequence[str] | None, found: Sequence[str]
) -> list[str]:
    """Returns the names of devices that an argument stands for.

    Args:
        devices: Names, or how many of those that there are, or `None` for
            all.
        found: Names of the devices that there are.

    Returns:
        At least one name.

    Raises:
        ValueError: If there are fewer, or none is asked for.

    Example:

    ```python
    from keras_twins.training.strategies.devices import choose_devices

    choose_devices(2, ["gpu:0", "gpu:1", "gpu:2"])  # ["gpu:0", "gpu:1"]
    ```
    """
    if devices is None:
        return list(found)
    if isinstance(devices, int):
        if not 1 <= devices <= len(found):
            raise ValueError(
                f"`devices` must be between 1 and {len(found)}, the number of "
                f"devices of this machine. Received: devices={devices}"
            )
        return list(found[:devices])
    if isinstance(devices, str) or not devices:
        raise ValueError(
            "`devices` must be a list of names of devices, at least one, or "
            f"how many. Received: devices={devices!r}"
        )
    return list(devices)
