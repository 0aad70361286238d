"""The table of sources: complete, consistent, and what stands in the URLs."""

import re

import pytest

from keras_twins.config import VARIANTS
from keras_twins.weights.registry import RESULTS
from keras_twins.weights.registry import SOURCES

ALL = [(v, s) for v, sources in SOURCES.items() for s in sources]
OPEN_PINS = {"pcpvt_small", "svt_base"}


def test_every_variant_has_two_sources_and_a_result():
    assert set(SOURCES) == set(RESULTS) == set(VARIANTS)
    assert {len(sources) for sources in SOURCES.values()} == {2}


@pytest.mark.parametrize("variant", SOURCES)
def test_the_source_that_is_pinned_best_comes_first(variant):
    first, second = SOURCES[variant]
    if variant in OPEN_PINS:
        assert (first.container, second.container) == ("torch", "safetensors")
        assert first.pinned and not second.pinned
    else:
        assert (first.container, second.container) == ("safetensors", "torch")
        assert first.sha256 and second.pinned


@pytest.mark.parametrize(("variant", "source"), ALL)
def test_addresses_names_and_hashes_agree(variant, source):
    assert variant in source.url and variant in source.file_name
    assert source.licence == "Apache-2.0"
    if source.sha256:
        assert re.fullmatch("[0-9a-f]{64}", source.sha256)
        assert source.sha256[:8] in source.file_name
    if source.sha256_prefix:
        assert f"-{source.sha256_prefix}.pth" in source.url
        assert (source.sha256 or source.sha256_prefix).startswith(
            source.sha256_prefix
        )
    if source.revision:
        assert re.fullmatch("[0-9a-f]{40}", source.revision)
        assert f"/resolve/{source.revision}/" in source.url


def test_file_names_are_unique():
    names = [source.file_name for _, source in ALL]
    assert len(set(names)) == len(names)


def test_a_digest_must_have_every_known_digit():
    full, prefix = SOURCES["svt_small"]
    assert full.accepts(full.sha256)
    assert not full.accepts(full.sha256[:-1] + "0")
    assert prefix.accepts("42e5f78c" + 56 * "0")
    assert not prefix.accepts("42e5f78d" + 56 * "0")
    assert SOURCES["svt_base"][1].accepts(64 * "0")


def test_only_hugging_face_addresses_follow_the_endpoint(monkeypatch):
    hub, release = SOURCES["svt_small"]
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert hub.resolve_url().startswith("https://huggingface.co/timm/twins_")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    assert hub.resolve_url().startswith("https://mirror.example/timm/twins_")
    assert release.resolve_url().startswith("https://github.com/")
