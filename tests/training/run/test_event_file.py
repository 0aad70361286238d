import struct

import pytest

from keras_twins.training.run.event_file import EventFile


def records(path):
    """Yields what is between the lengths and the checksums."""
    content = path.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield content[12 : 12 + length]
        content = content[16 + length :]


def test_first_records_void_what_was_before(tmp_path):
    events = EventFile(tmp_path)
    events.close()
    version, start = records(events.path)
    assert b"brain.Event:2" in version
    assert start.endswith(b"\x3a\x02\x08\x01")


def test_tensorflow_reads_the_scalars(tmp_path, backend):
    if backend != "tensorflow":
        pytest.skip("TensorFlow reads it on any backend")
    import tensorflow as tf

    events = EventFile(tmp_path)
    events.add(1, {"loss": 0.5})
    events.add(300, {"loss": 0.25, "val_top1": 1e300})
    events.close()
    # It compares the checksums.
    found = [
        (event.step, value.tag, value.simple_value)
        for event in tf.compat.v1.train.summary_iterator(str(events.path))
        for value in event.summary.value
    ]
    assert found == [
        (1, "loss", 0.5),
        (300, "loss", 0.25),
        (300, "val_top1", float("inf")),
    ]
    log = next(
        event.session_log
        for event in tf.compat.v1.train.summary_iterator(str(events.path))
        if event.HasField("session_log")
    )
    assert log.status == log.START
