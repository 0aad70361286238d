"""Which devices and processes TensorFlow has."""

import json


def device_names() -> list[str]:
    """Returns the names of the GPUs of this machine, or else of its CPUs."""
    import tensorflow as tf

    for kind in ("GPU", "CPU"):
        found = tf.config.list_logical_devices(kind)
        if found:
            return [f"{kind}:{i}" for i in range(len(found))]
    return []


def worker_of(text: str | None) -> tuple[int, int]:
    """Reads how many workers there are, and which of them this process is.

    Args:
        text: The value of `TF_CONFIG`.

    Returns:
        Number of processes and index of this one; a `"chief"` comes first.

    Raises:
        ValueError: If it is no such description.
    """
    try:
        config = json.loads(text or "")
        cluster, task = config["cluster"], config["task"]
        chiefs = len(cluster.get("chief", []))
        count = chiefs + len(cluster["worker"])
        index = int(task["index"]) + chiefs * (task["type"] == "worker")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            'The strategy "multi_worker" needs the environment variable '
            "`TF_CONFIG`, such as "
            '\'{"cluster": {"worker": ["10.0.0.1:1234", "10.0.0.2:1234"]}, '
            '"task": {"type": "worker", "index": 0}}\'. '
            f"Received: TF_CONFIG={text!r}"
        ) from error
    return count, index
