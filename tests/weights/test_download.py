"""Downloads: what is verified, what is kept, and what every failure says."""

import hashlib
import pathlib
import socket
import subprocess
import sys
import threading

import keras
import pytest

from keras_twins.weights.download import cache_folder
from keras_twins.weights.download import fetch_first
from keras_twins.weights.download import fetch_weights
from keras_twins.weights.errors import WeightsDownloadError
from keras_twins.weights.registry import SOURCES
from tests.weights import server as pages
from tests.weights.server import CONTENT
from tests.weights.server import source_of

DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with pages.run_server() as running:
        running.pages["/good"] = pages.send(CONTENT)
        yield running


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    return tmp_path / "cache" / "models"


def fetch(*sources, folder, timeout=5.0, progress=False) -> pathlib.Path:
    return fetch_first(
        sources, folder=folder, timeout=timeout, progress=progress
    )


def names(folder: pathlib.Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_fetched_under_its_name_and_nothing_else(server, folder):
    path = fetch(source_of(server.url + "/good"), folder=folder)
    assert path == folder / "weights-1.bin"
    assert path.read_bytes() == CONTENT
    assert names(folder) == {path.name}


@pytest.mark.parametrize("page", ["redirect", "no length"])
def test_servers_may_redirect_and_keep_the_length_to_themselves(
    server, folder, page
):
    server.pages["/redirect"] = pages.redirect(server.url + "/good")
    server.pages["/no length"] = pages.send_without_length(CONTENT)
    url = server.url + "/" + page.replace(" ", "%20")
    server.pages["/no%20length"] = server.pages["/no length"]
    assert fetch(source_of(url), folder=folder).read_bytes() == CONTENT


def test_a_cached_file_needs_no_network(server, folder):
    source = source_of(server.url + "/good")
    fetch(source, folder=folder)
    fetch(source, folder=folder)
    assert server.requests == ["/good"]


def test_the_second_source_in_the_cache_needs_no_network(server, folder):
    second = source_of(server.url + "/good", "weights-2.bin")
    path = fetch(second, folder=folder)
    first = source_of(server.url + "/good")
    assert fetch(first, second, folder=folder) == path
    assert len(server.requests) == 1


def bad_source(server, kind: str):
    """Returns a source that fails, and what the message says of it."""
    half = CONTENT[: len(CONTENT) // 2]
    server.pages["/half"] = pages.send(half, len(CONTENT))
    server.pages["/other"] = pages.send(CONTENT[:-1] + b"x")
    server.pages["/empty"] = pages.send(b"")
    server.pages["/endless"] = pages.send_without_length(CONTENT * 2)
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    size = {"size": len(CONTENT), "sha256": DIGEST}
    table = {
        "missing": (source_of(server.url + "/no"), "404"),
        "breaks off": (source_of(server.url + "/half"), "broke off"),
        "wrong hash": (source_of(server.url + "/other"), "expected sha256"),
        "wrong prefix": (
            source_of(server.url + "/good", sha256_prefix="01234567"),
            "expected sha256 01234567...",
        ),
        "empty": (source_of(server.url + "/empty"), "empty"),
        "wrong size": (source_of(server.url + "/half", size=9), "announces"),
        "too long": (source_of(server.url + "/endless", **size), "or more"),
        "unreachable": (source_of(f"http://127.0.0.1:{port}/x"), "refused"),
        "no address": (source_of("mirror/x"), "must start with https://"),
    }
    return table[kind]


BAD = (
    "missing",
    "breaks off",
    "wrong hash",
    "wrong prefix",
    "empty",
    "wrong size",
    "too long",
    "unreachable",
    "no address",
)


@pytest.mark.parametrize("kind", BAD)
def test_a_source_that_fails_is_named_and_the_next_is_tried(
    server, folder, kind
):
    bad, reason = bad_source(server, kind)
    good = source_of(server.url + "/good", "weights-2.bin")
    with pytest.warns(UserWarning, match="next source") as caught:
        path = fetch(bad, good, folder=folder)
    assert bad.url in str(caught[0].message)
    assert reason in str(caught[0].message)
    assert names(folder) == {path.name} == {"weights-2.bin"}


def test_a_server_that_does_not_answer_fails_in_time(folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = source_of(f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        with pytest.raises(WeightsDownloadError, match="timed out"):
            fetch(source, folder=folder, timeout=0.2)
    assert names(folder) == set()


def test_when_all_fail_one_error_tells_why_and_the_ways_out(server, folder):
    first, why_first = bad_source(server, "breaks off")
    second, why_second = bad_source(server, "wrong hash")
    with (
        pytest.warns(UserWarning, match="next source"),
        pytest.raises(WeightsDownloadError) as caught,
    ):
        fetch(first, second, folder=folder)
    told = (first.url, why_first, second.url, why_second, "`weights=`")
    for part in (*told, str(folder), first.file_name):
        assert part in str(caught.value)
    assert names(folder) == set()


def test_a_mirror_is_named_where_one_has_an_effect(server, folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    for host, named in ((server.url, False), ("{endpoint}", True)):
        with pytest.raises(WeightsDownloadError, match="404") as caught:
            fetch(source_of(f"{host}/no"), folder=folder)
        assert ("HF_ENDPOINT" in str(caught.value)) == named


def test_a_corrupt_cached_file_is_replaced(server, folder):
    source = source_of(server.url + "/good")
    fetch(source, folder=folder).write_bytes(CONTENT[:-1])
    with pytest.warns(UserWarning, match="cached weights .* not used"):
        path = fetch(source, folder=folder)
    assert path.read_bytes() == CONTENT
    assert names(folder) == {path.name}


def test_a_corrupt_cached_file_is_not_used_offline(server, folder):
    source = source_of(server.url + "/good")
    fetch(source, folder=folder).write_bytes(CONTENT[:-1])
    del server.pages["/good"]
    with (
        pytest.warns(UserWarning, match="cached weights .* not used"),
        pytest.raises(WeightsDownloadError, match="404"),
    ):
        fetch(source, folder=folder)


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    obstacle = tmp_path / "file"
    obstacle.write_text("not a folder")
    source = source_of(server.url + "/good")
    with pytest.raises(WeightsDownloadError, match="KERAS_HOME") as caught:
        fetch(source, source, folder=obstacle / "cache")
    assert str(obstacle) in str(caught.value)
    assert obstacle.read_text() == "not a folder"


def test_an_interrupt_leaves_nothing_behind(server, folder, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.utils.Progbar, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(source_of(server.url + "/good"), folder=folder, progress=True)
    assert names(folder) == set()


def test_progress_is_shown_if_asked_for(server, folder, capsys):
    fetch(source_of(server.url + "/good"), folder=folder)
    assert capsys.readouterr() == ("", "")
    other = source_of(server.url + "/good", "weights-2.bin")
    fetch(other, folder=folder, progress=True)
    shown = capsys.readouterr()
    assert f"{len(CONTENT)}/{len(CONTENT)}" in shown.out
    assert server.url in shown.err


def test_the_digest_of_an_unpinned_file_is_recorded_and_enforced(
    server, folder, monkeypatch
):
    monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
    source = SOURCES["svt_base"][1]
    page = "/timm/twins_svt_base.in1k/resolve/main/model.safetensors"
    server.pages[page] = pages.send(CONTENT)
    with pytest.warns(UserWarning, match="No digest was published"):
        path = fetch(source, folder=folder)
    assert server.requests == [page]
    record = folder / (path.name + ".sha256")
    assert record.read_text().strip() == DIGEST
    assert names(folder) == {path.name, record.name}

    assert fetch(source, folder=folder) == path  # and no warning now
    path.unlink()
    server.pages[page] = pages.send(b"something else")
    with pytest.raises(WeightsDownloadError, match="recorded in"):
        fetch(source, folder=folder)
    assert names(folder) == {record.name}


def test_the_full_digest_is_recorded_where_its_start_is_known(server, folder):
    source = source_of(server.url + "/good", sha256_prefix=DIGEST[:8])
    path = fetch(source, folder=folder)
    record = folder / (path.name + ".sha256")
    assert record.read_text().strip() == DIGEST


def test_a_file_placed_by_hand_is_used(folder):
    source = source_of("http://127.0.0.1:9/x")
    folder.mkdir(parents=True)
    (folder / source.file_name).write_bytes(CONTENT)
    assert fetch(source, folder=folder) == folder / source.file_name


FETCH = """
import sys
from keras_twins.weights.download import fetch_first
from tests.weights.server import source_of
path = fetch_first((source_of(sys.argv[1]),), folder=sys.argv[2])
"""


def test_two_processes_may_fetch_at_once(server, folder):
    together = threading.Barrier(2)

    def slow(handler):
        together.wait(timeout=60)  # both are downloading now
        pages.send(CONTENT)(handler)

    server.pages["/slow"] = slow
    command = [sys.executable, "-c", FETCH, server.url + "/slow", folder]
    running = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert len(server.requests) == 2
    assert names(folder) == {"weights-1.bin"}
    assert (folder / "weights-1.bin").read_bytes() == CONTENT


def test_the_cache_lies_in_the_home_of_keras(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "models" / "keras_twins"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".keras" / "models" / "keras_twins"


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="variant='svt_huge'"):
        fetch_weights("svt_huge")
