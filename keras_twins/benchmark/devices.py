"""Where each framework computes: its name, its end of work, its memory."""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """The device of a framework.

    Args:
        name: `"cpu"`, or the name of the first accelerator.
        wait: Takes what a step returned; returns when it is computed.
        memory: Returns the largest memory so far in bytes, on accelerators.
    """

    name: str
    wait: Callable[[Any], object]
    memory: Callable[[], int] | None = None


def find_device(framework: str) -> Device:
    """Returns the device that a framework computes on by default.

    Args:
        framework: `"tensorflow"`, `"jax"` or `"torch"`.

    Returns:
        A `Device`.
    """
    return _FRAMEWORKS[framework]()


def _tensorflow_device() -> Device:
    import tensorflow as tf

    config = tf.config
    names = [device.name for device in config.list_logical_devices()]
    others = [name for name in names if ":CPU:" not in name]

    def wait(_: Any) -> None:
        tf.test.experimental.sync_devices()

    if not others:
        return Device(name="cpu", wait=wait)
    return Device(
        name=others[0],
        wait=wait,
        memory=lambda: config.experimental.get_memory_info(others[0])["peak"],
    )


def _jax_device() -> Device:
    import jax

    device = jax.devices()[0]
    if device.platform == "cpu":
        return Device(name="cpu", wait=jax.block_until_ready)
    return Device(
        name=device.device_kind,
        wait=jax.block_until_ready,
        memory=lambda: (device.memory_stats() or {})["peak_bytes_in_use"],
    )


def _torch_device() -> Device:
    import torch

    if not torch.cuda.is_available():
        return Device(name="cpu", wait=lambda _: None)
    return Device(
        name=torch.cuda.get_device_name(),
        wait=lambda _: torch.cuda.synchronize(),
        memory=torch.cuda.max_memory_allocated,
    )


_FRAMEWORKS: Mapping[str, Callable[[], Device]] = {
    "tensorflow": _tensorflow_device,
    "jax": _jax_device,
    "torch": _torch_device,
}
