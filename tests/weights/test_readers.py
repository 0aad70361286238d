"""Reading of weight files: kinds, layouts, damage, and hostile files."""

import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.readers import file_kind
from keras_twins.weights.readers import read_checkpoint
from keras_twins.weights.unwrapping import unwrap
from tests.weights import torch_samples as samples

SAVE = {"torch_zip": samples.save_zip, "torch_legacy": samples.save_legacy}


def example_state() -> dict[str, np.ndarray]:
    values = np.arange(24, dtype="float32").reshape(2, 3, 4) / 7
    return {
        "a": values,
        "b": values[0].astype("float64"),
        "c": values[1].astype("float16"),
        "d": values[0].astype(ml_dtypes.bfloat16),
        "e": np.arange(3),
        "scalar": np.asarray(np.float32(5)).reshape(()),
        "empty": np.zeros((0, 3), "float32"),
    }


def check_equal(found, expected) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("kind", SAVE)
def test_own_reader_reads_both_layouts(tmp_path, kind):
    path = tmp_path / "weights.bin"
    SAVE[kind](path, example_state())
    assert file_kind(path) == kind
    check_equal(read_checkpoint(path, use_torch=False), example_state())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("use_torch", [False, True])
def test_files_of_torch_are_read_to_the_bit(tmp_path, legacy, use_torch):
    torch = pytest.importorskip("torch")
    base = torch.randn(6, 5)
    state = {
        "whole": base,
        "part": base[1:4, ::2],
        "turned": base.T,
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "half": torch.randn(4).half(),
        "brain": torch.randn(4).bfloat16(),
        "count": torch.tensor(3),
    }
    module = torch.nn.Linear(2, 3)
    content = {"model": module.state_dict(), "epoch": 3, "more": state}
    path = tmp_path / "weights.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    found = read_checkpoint(path, use_torch=use_torch)
    assert found["epoch"] == 3
    brain = state.pop("brain")
    assert found["more"].pop("brain").dtype == ml_dtypes.bfloat16
    expected = {name: t.detach().numpy() for name, t in state.items()}
    check_equal(found["more"], expected)
    weights = {n: t.numpy() for n, t in module.state_dict().items()}
    check_equal(found["model"], weights)
    again = read_checkpoint(path, use_torch=use_torch)["more"]["brain"]
    np.testing.assert_array_equal(
        again.astype("float32"), brain.float().numpy()
    )


def test_views_share_a_storage(tmp_path):
    stored = samples.storage("0", "FloatStorage", 6)
    content = samples.dictionary(
        {
            "turned": samples.tensor(stored, 0, (3, 2), (1, 3)),
            "tail": samples.tensor(stored, 4, (2,), (1,)),
        }
    )
    values = np.arange(6, dtype="float32")
    samples.write_zip(tmp_path / "w", content, {"0": values.tobytes()})
    found = read_checkpoint(tmp_path / "w", use_torch=False)
    np.testing.assert_array_equal(found["turned"], values.reshape(2, 3).T)
    np.testing.assert_array_equal(found["tail"], [4, 5])


def test_big_endian_files_are_read(tmp_path):
    stored = samples.storage("0", "FloatStorage", 3)
    content = samples.dictionary({"a": samples.tensor(stored, 0, (3,), (1,))})
    with zipfile.ZipFile(tmp_path / "w", "w") as archive:
        archive.writestr("x/data.pkl", samples.program(content))
        archive.writestr("x/byteorder", "big")
        archive.writestr("x/data/0", np.arange(3, dtype=">f4").tobytes())
    found = read_checkpoint(tmp_path / "w", use_torch=False)
    np.testing.assert_array_equal(found["a"], [0, 1, 2])


BEYOND = [
    (0, (7,), (1,)),
    (1, (6,), (1,)),
    (0, (2, 2), (5, 2)),
    (2**62, (2,), (1,)),
    (0, (2,), (2**62,)),
    (-1, (2,), (1,)),
    (0, (-2,), (1,)),
    (0, (2,), (-1,)),
    (0, (2**40, 2**40), (0, 0)),
    (0, (3,), (1, 1)),
    (0, (1,) * 40, (1,) * 40),
]


@pytest.mark.parametrize("view", BEYOND)
def test_no_tensor_reaches_beyond_its_storage(tmp_path, view):
    for legacy in (False, True):
        stored = samples.storage("0", "FloatStorage", 6, legacy)
        content = samples.dictionary({"a": samples.tensor(stored, *view)})
        raw = np.zeros(6, "float32").tobytes()
        path = tmp_path / f"w{legacy}"
        if legacy:
            samples.write_legacy(path, content, {"0": (6, raw)})
        else:
            samples.write_zip(path, content, {"0": raw})
        with pytest.raises(CheckpointError, match="a tensor"):
            read_checkpoint(path, use_torch=False)


@pytest.mark.parametrize("numel", [7, 2**40, -1])
def test_no_storage_reaches_beyond_the_file(tmp_path, numel):
    raw = np.zeros(6, "float32").tobytes()
    for legacy in (False, True):
        stored = samples.storage("0", "FloatStorage", numel, legacy)
        content = samples.dictionary(
            {"a": samples.tensor(stored, 0, (2,), (1,))}
        )
        path = tmp_path / f"w{legacy}"
        if legacy:
            samples.write_legacy(path, content, {"0": (numel, raw)})
        else:
            samples.write_zip(path, content, {"0": raw})
        with pytest.raises(CheckpointError, match="storage|cut off"):
            read_checkpoint(path, use_torch=False)


class _Attack:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def hostile_pickles(marker) -> dict[str, bytes]:
    """Returns pickles that create the file `marker` if they are executed."""
    plain = pickle.dumps({"a": _Attack(marker)}, protocol=2)
    newer = pickle.dumps({"a": _Attack(marker)}, protocol=4)
    command = b"cposix\nsystem\n(" + samples.text(f"touch {marker}") + b"tR"
    build = b"ctorch._utils\n_rebuild_tensor_v2\n}(X\x01\x00\x00\x00ak\x01ub"
    return {
        "reduce": plain[2:-1],
        "newer protocol": newer[2:-1],
        "system": command,
        "instance": b"(ibuiltins\nexec\n",
        "object": b"(cbuiltins\nexec\no",
        "getattr": b"cbuiltins\ngetattr\n",
        "attributes of a function": build,
        "extension": b"\x82\x01",
    }


@pytest.mark.parametrize("name", hostile_pickles("m"))
@pytest.mark.parametrize("use_torch", [False, None])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, name, use_torch):
    marker = tmp_path / "marker"
    content = hostile_pickles(marker)[name]
    for legacy in (False, True):
        path = tmp_path / f"w{legacy}"
        if legacy:
            samples.write_legacy(path, content, {})
        else:
            samples.write_zip(path, content, {})
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_checkpoint(path, use_torch=use_torch)
    assert not marker.exists()


def test_the_hostile_pickle_would_have_run(tmp_path):
    """Shows that the test above can fail."""
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(_Attack(marker))).close()
    assert marker.exists()


def test_the_refused_name_is_told(tmp_path):
    content = samples.dictionary({"args": b"cargparse\nNamespace\n)R"})
    samples.write_zip(tmp_path / "w", content, {})
    for use_torch in (False, None):
        with pytest.raises(CheckpointError, match="argparse.Namespace"):
            read_checkpoint(tmp_path / "w", use_torch=use_torch)


def _doubled(start: bytes, wrap: bytes, times: int) -> bytes:
    """Opcodes for a value that holds the one before twice, and so on."""
    content = start
    for _ in range(times):
        content += wrap
    return content


@pytest.mark.timeout(60)
@pytest.mark.parametrize("use_torch", [False, None])
def test_small_files_cannot_explode(tmp_path, use_torch):
    """Values nested twice in each other forty times, in a few bytes."""
    double_tuple = b"q\x01h\x01\x86"
    double_dict = b"q\x01}X\x01\x00\x00\x00ah\x01sX\x01\x00\x00\x00bh\x01s"
    key = b"}" + _doubled(b")", double_tuple, 40) + b"Ns"
    name = _doubled(b")", double_tuple, 40) + b"X\x01\x00\x00\x00a\x93"
    nested = _doubled(b"}", double_dict, 40)
    # What torch's own loader does with the other two is not in our hands.
    contents = (nested,) if use_torch is None else (key, name, nested)
    for content in contents:
        for legacy in (False, True):
            path = tmp_path / f"w{legacy}"
            write = samples.write_legacy if legacy else samples.write_zip
            write(path, content, {})
            with pytest.raises(CheckpointError):
                unwrap(read_checkpoint(path, use_torch=use_torch))


@pytest.mark.timeout(60)
def test_a_list_of_storages_cannot_explode(tmp_path):
    samples.write_legacy(tmp_path / "w", b"}", {})
    whole = (tmp_path / "w").read_bytes()
    keys = _doubled(b")", b"q\x01h\x01\x86", 40)
    end = pickle.dumps([], protocol=2)
    assert whole.endswith(end)
    bomb = b"\x80\x02]" + keys + b"a."
    (tmp_path / "w").write_bytes(whole[: -len(end)] + bomb)
    with pytest.raises(CheckpointError, match="list of storages"):
        read_checkpoint(tmp_path / "w", use_torch=False)


def test_dictionaries_within_themselves_end(tmp_path):
    content = b"}q\x01X\x01\x00\x00\x00ah\x01s"
    samples.write_zip(tmp_path / "w", content, {})
    with pytest.raises(CheckpointError, match="nested too deeply"):
        read_checkpoint(tmp_path / "w", use_torch=False)


def write_safetensors_example(path) -> None:
    state = example_state()
    save_file({name: state[name] for name in "abc"}, path)


def test_safetensors_are_read_one_by_one(tmp_path):
    path = tmp_path / "weights.anything"
    write_safetensors_example(path)
    found = read_checkpoint(path)
    assert "a" in found and "x" not in found
    check_equal(found, {n: example_state()[n] for n in "abc"})
    with pytest.raises(KeyError):
        found["x"]


def test_a_dtype_that_numpy_lacks_is_named(tmp_path):
    header = b'{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}'
    path = tmp_path / "w"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"12")
    try:
        assert read_checkpoint(path)["a"].itemsize == 1
    except CheckpointError as error:
        assert "'a'" in str(error)


CONTENTS = {
    b"": "empty",
    b"<!DOCTYPE html><html>": "a web page",
    b"  <html><body>404": "a web page",
    b"version https://git-lfs.github.com/spec/v1\noid": "a Git LFS pointer",
    pickle.dumps({"a": 1}): "a pickle that torch.save did not write",
    b"hello, world": "of an unknown kind",
    b"\xff\x00\x00\x00\x00\x00\x00\x00{}": "cut off or damaged",
}


@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_no_weight_file_is_named(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=CONTENTS[content]) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="There is no weight file"):
        read_checkpoint(tmp_path / "no.pth")


@pytest.mark.parametrize("use_torch", [False, None])
def test_a_zip_that_is_no_checkpoint_is_refused(tmp_path, use_torch):
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path / "w.npz", use_torch=use_torch)


def test_a_compressed_archive_is_refused(tmp_path):
    path = tmp_path / "w"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", samples.program(b"}" + b"N0" * 99))
    with pytest.raises(CheckpointError, match="is compressed"):
        read_checkpoint(path, use_torch=False)


@pytest.mark.parametrize("kind", [*SAVE, "safetensors"])
@pytest.mark.parametrize("use_torch", [False, None])
def test_a_truncated_file_is_refused(tmp_path, kind, use_torch):
    path = tmp_path / "w"
    if kind == "safetensors":
        write_safetensors_example(path)
    else:
        SAVE[kind](path, example_state())
    whole = path.read_bytes()
    for length in (*range(0, len(whole) - 1, 97), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(path, use_torch=use_torch)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_safetensors_example(folder / "safetensors")
    for kind, save in SAVE.items():
        save(folder / kind, example_state())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", [*SAVE, "safetensors"])
@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_gives_arrays_or_one_kind_of_error(
    whole_files, tmp_path_factory, kind, changes
):
    damaged = bytearray(whole_files[kind])
    for place, new in changes:
        start = int(place * len(damaged))
        damaged[start : start + len(new)] = new
    path = tmp_path_factory.getbasetemp() / f"damaged_{kind}"
    path.unlink(missing_ok=True)
    path.write_bytes(damaged)
    try:
        state = read_checkpoint(path, use_torch=False)
        for name in state:
            np.array(state[name])  # reads every byte
    except CheckpointError as error:
        assert str(path) in str(error)
