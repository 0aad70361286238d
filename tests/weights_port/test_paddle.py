import os
import pickle

import numpy as np
import pytest

from keras_twins.weights.errors import CheckpointError
from tests.weights_port.files import write_paddle
from weights_port.paddle import is_paddle_file
from weights_port.paddle import read_paddle

STATE = {
    "head.weight": np.arange(6, dtype="float32").reshape(2, 3),
    "head.bias": np.array([1.5, 2.5], "float64"),
    "turned": np.asfortranarray(np.arange(6, dtype="float32").reshape(2, 3)),
    "count": np.array(3, "int64"),
}


def check(state) -> None:
    assert state.keys() == STATE.keys()
    for name, values in STATE.items():
        assert state[name].dtype == values.dtype
        np.testing.assert_array_equal(state[name], values)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_are_read(tmp_path, protocol):
    path = tmp_path / "model.pdparams"
    write_paddle(path, STATE, protocol)
    assert is_paddle_file(path)
    check(read_paddle(path))


def test_arrays_with_internal_names_are_read(tmp_path):
    path = tmp_path / "model.pdparams"
    content = {key: (f"linear_{key}", v) for key, v in STATE.items()}
    content["StructuredToParameterName@@"] = {key: key for key in STATE}
    write_paddle(path, content)
    check(read_paddle(path))


def test_files_of_older_numpy_are_read(tmp_path):
    path = tmp_path / "model.pdparams"
    content = pickle.dumps(STATE, protocol=2)
    path.write_bytes(content.replace(b"numpy._core.", b"numpy.core."))
    check(read_paddle(path))


def test_numbers_and_nested_states_are_read(tmp_path):
    path = tmp_path / "model.pdparams"
    write_paddle(path, {"model": STATE, "step": np.float32(2), "epoch": 3})
    state = read_paddle(path)
    check(state["model"])
    assert (state["step"], state["epoch"]) == (2, 3)


class Attack:
    """A pickle of this calls `function(*arguments)` when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, protocol):
    mark = tmp_path / "it ran"
    path = tmp_path / "model.pdparams"
    for attack in (
        Attack(os.mkdir, str(mark)),
        Attack(eval, f"__import__('os').mkdir({str(mark)!r})"),
        Attack(np.save, str(mark), 0),
        Attack(np.fromfile, str(path)),
    ):
        write_paddle(path, {"a": STATE["count"], "b": attack}, protocol)
        with pytest.raises(CheckpointError, match="nothing of it was run"):
            read_paddle(path)
    assert sorted(os.listdir(tmp_path)) == ["model.pdparams"]


def test_objects_in_arrays_are_refused(tmp_path):
    path = tmp_path / "model.pdparams"
    for values in (
        np.array([{}, []], object),
        np.zeros(2, [("a", "float32")]),
        np.array(["text"]),
    ):
        write_paddle(path, {"a": values})
        with pytest.raises(CheckpointError, match="dtype .* refused"):
            read_paddle(path)


def test_known_functions_take_no_attributes(tmp_path):
    path = tmp_path / "model.pdparams"
    # BUILD gives numpy.dtype the attribute "x".
    path.write_bytes(b"\x80\x02cnumpy\ndtype\n}U\x01xK\x01sb.")
    with pytest.raises(CheckpointError, match="sets attributes"):
        read_paddle(path)


def test_shapes_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "model.pdparams"
    content = pickle.dumps({"a": np.arange(7, dtype="float32")}, protocol=4)
    assert content.count(b"K\x07\x85") == 1
    path.write_bytes(content.replace(b"K\x07\x85", b"K\x08\x85"))
    with pytest.raises(CheckpointError, match=r"shape \(8,\) has 7 numbers"):
        read_paddle(path)


@pytest.mark.parametrize("length", [2, 30, 100, -1])
def test_cut_files_are_refused(tmp_path, length):
    path = tmp_path / "model.pdparams"
    path.write_bytes(pickle.dumps(STATE, protocol=4)[:length])
    with pytest.raises(CheckpointError, match=r"model\.pdparams cannot be"):
        read_paddle(path)


def test_a_list_is_no_state(tmp_path):
    path = tmp_path / "model.pdparams"
    write_paddle(path, [STATE["count"]])
    with pytest.raises(CheckpointError, match="no dictionary"):
        read_paddle(path)


def test_torch_files_are_not_taken_for_paddle(tmp_path):
    torch = pytest.importorskip("torch")
    for zipped in (True, False):
        path = tmp_path / "model.pth"
        torch.save({}, path, _use_new_zipfile_serialization=zipped)
        assert not is_paddle_file(path)
    assert not is_paddle_file(tmp_path / "missing")
