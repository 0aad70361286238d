import numpy as np
import pytest

from keras_twins import VARIANTS
from keras_twins.config import DIALECTS
from keras_twins.weights.errors import CheckpointError
from tests import tiny
from tests.weights_port.files import disguise
from tests.weights_port.files import official_state
from tests.weights_port.files import write_paddle
from tests.weights_port.files import write_safetensors
from weights_port import inspect_file
from weights_port.sources import find_original
from weights_port.sources import original_files


def test_a_good_file_has_no_problems(tmp_path):
    path = tmp_path / "model.pdparams"
    state = official_state(tiny.SVT)
    write_paddle(path, {"state_dict": disguise(state, "paddle")})
    found = inspect_file(path, tiny.SVT)
    assert found.problems == ()
    assert (found.container, found.naming) == ("Paddle pickle", "paddle")
    assert found.wrappers == ("state_dict",)
    assert found.tensors == len(state)
    assert found.parameters == sum(v.size for v in state.values())
    assert found.dtypes == {"float32": len(state)}
    assert found.size == path.stat().st_size
    assert found.known_source is None
    report = found.report()
    assert "problems: none" in report and found.sha256 in report


def test_the_same_weights_have_one_content_in_any_file(tmp_path):
    state = official_state(tiny.SVT)
    write_safetensors(tmp_path / "a", state)
    write_paddle(tmp_path / "b", disguise(state, "paddle"))
    first, second = (inspect_file(tmp_path / f, tiny.SVT) for f in "ab")
    assert first.sha256 != second.sha256
    assert first.content_sha256 == second.content_sha256


def test_all_problems_are_listed(tmp_path):
    state = official_state(tiny.SVT)
    state["head.bias"][0] = np.inf
    state["extra"] = np.zeros(3, "float32")
    write_safetensors(tmp_path / "a", state)
    found = inspect_file(tmp_path / "a", tiny.SVT)
    assert found.variant is None and found.naming == "official"
    assert found.problems == (
        "extra: an unknown name",
        "head.bias: 1 numbers are not finite",
    )
    assert "  extra: an unknown name" in found.report()


def test_an_unknown_architecture_is_a_problem(tmp_path):
    write_safetensors(tmp_path / "a", official_state(tiny.SVT))
    found = inspect_file(tmp_path / "a")
    assert found.naming is None
    assert "none of the published variants" in found.problems[0]


def test_what_is_no_weights_file_is_an_error(tmp_path):
    (tmp_path / "a").write_text("<html>")
    for name in ("a", "missing"):
        with pytest.raises(CheckpointError):
            inspect_file(tmp_path / name)


def test_published_files_are_known_by_their_digest(tmp_path, monkeypatch):
    known = find_original("8fe5205b" + 56 * "0")
    assert known is not None
    assert (known.publisher, known.variant) == ("mmpretrain", "svt_small")
    assert known.url.endswith(
        "svt-small_3rdparty_8xb128_in1k_20220126-8fe5205b.pth"
    )
    assert find_original(64 * "0") is None
    write_safetensors(tmp_path / "a", official_state(tiny.SVT))
    monkeypatch.setattr(
        "weights_port.inspection.find_original", lambda digest: known
    )
    found = inspect_file(tmp_path / "a", tiny.SVT)
    assert found.known_source == known
    assert "digest is that of svt_small" in found.problems[0]


def test_every_publisher_has_all_six():
    rows = original_files()
    for publisher in {row.publisher for row in rows}:
        held = {row.variant for row in rows if row.publisher == publisher}
        assert held == set(VARIANTS), publisher
    assert {row.dialect for row in rows} <= set(DIALECTS)
    digests = [row.sha256 for row in rows if row.sha256]
    assert len({digest[:8] for digest in digests}) == len(digests) == 22
