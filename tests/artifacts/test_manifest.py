"""Manifests: what is written is read back, and nothing else is read."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glowplug.artifacts.errors import ManifestError
from glowplug.artifacts.manifest import MAX_CHUNK, MAX_FILE, Chunk, Entry, decode, encode

DIGEST = "ab" * 32


def document(**changes: Any) -> dict[str, Any]:
    entries = [{"path": "a", "kind": "file", "mode": 0o600, "mtime_ns": 1, "size": 10, "chunks": [chunk()]}]
    return {
        "format": 1,
        "kind": "snapshot",
        "model": "m",
        "created_at": 1.0,
        "identity": {},
        "facts": {},
        "stored_bytes": 5,
        "entries": entries,
    } | changes


def chunk(**changes: Any) -> dict[str, Any]:
    return {"offset": 0, "length": 10, "digest": DIGEST} | changes


def entry(**changes: Any) -> dict[str, Any]:
    return {"path": "a", "kind": "file", "mode": 0o600, "mtime_ns": 1} | changes


def test_a_sound_document_is_read() -> None:
    manifest = decode(msgspec.json.encode(document()))
    assert manifest.entries == (Entry("a", "file", 0o600, 1, 10, (Chunk(0, 10, DIGEST),)),)
    assert manifest.raw_bytes == 10


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": "1"},
        {"more": 1},
        {"kind": "Snapshot"},
        {"kind": "../etc"},
        {"model": ""},
        {"created_at": -1.0},
        {"created_at": 1e300},
        {"identity": []},
        {"stored_bytes": MAX_FILE + 1},
        {"stored_bytes": 1.5},
        {"entries": [entry(mode=0o4755)]},
        {"entries": [entry(mode=-1)]},
        {"entries": [entry(mtime_ns=1 << 63)]},
        {"entries": [entry(kind="socket")]},
        {"entries": [entry(owner=0)]},
        {"entries": [entry(size=MAX_FILE + 1)]},
        {"entries": [entry(size=10**30)]},
        {"entries": [entry(kind="directory", size=1)]},
        {"entries": [entry(kind="directory", size=10, chunks=[chunk()])]},
        {"entries": [entry(kind="symlink")]},
        {"entries": [entry(target="b")]},
        {"entries": [entry(kind="symlink", target="../b")]},
        {"entries": [entry(kind="symlink", target="/b")]},
        {"entries": [entry(path="../a")]},
        {"entries": [entry(path="/a")]},
        {"entries": [entry(path="a/b")]},
        {"entries": [entry(), entry()]},
        {"entries": [entry(), entry(path="a/b")]},
        {"entries": [entry(kind="symlink", target="b"), entry(path="a/b")]},
        {"entries": [entry(size=10, chunks=[chunk(length=11)])]},
        {"entries": [entry(size=10, chunks=[chunk(length=0)])]},
        {"entries": [entry(size=MAX_FILE, chunks=[chunk(length=MAX_CHUNK + 1)])]},
        {"entries": [entry(size=20, chunks=[chunk(), chunk(offset=9)])]},
        {"entries": [entry(size=20, chunks=[chunk(offset=10), chunk()])]},
        {"entries": [entry(size=10, chunks=[chunk(digest="AB" * 32)])]},
        {"entries": [entry(size=10, chunks=[chunk(digest="../../key.pem")])]},
        {"entries": [entry(size=10, chunks=[chunk(digest=DIGEST + "\n")])]},
    ],
    ids=str,
)
def test_what_no_manifest_may_say_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestError):
        decode(msgspec.json.encode(document(**changes)))


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"format": 1'])
def test_what_is_no_manifest_at_all(text: bytes) -> None:
    with pytest.raises(ManifestError):
        decode(text)


@pytest.mark.parametrize("key", list(document()))
def test_nothing_may_be_missing(key: str) -> None:
    with pytest.raises(ManifestError, match=key):
        decode(msgspec.json.encode({name: value for name, value in document().items() if name != key}))


def test_any_change_gives_another_id() -> None:
    ids = {decode(msgspec.json.encode(document(model=model, stored_bytes=n))).id for model in "ab" for n in (1, 2)}
    assert len(ids) == 4


def test_names_that_are_not_utf8_and_values_that_are_no_json_are_said_to_be() -> None:
    for identity, path in (({}, "\udcff"), ({"x": object()}, "a")):
        with pytest.raises(ManifestError, match="cannot be described"):
            encode("snapshot", "m", 1.0, identity, {}, 0, [Entry(path, "file", 0o600, 1)])


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
values = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(-(2**53), 2**53), lambda inner: st.lists(inner)
)


@settings(max_examples=50)
@given(
    model=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50),
    created_at=st.floats(0, 1e11),
    identity=st.dictionaries(st.text(), values),
    files=st.dictionaries(names, st.tuples(st.integers(0, 0o777), st.integers(0, 2**62), st.integers(0, 2**40))),
)
def test_what_is_written_is_read_back(
    model: str, created_at: float, identity: dict[str, Any], files: dict[str, tuple[int, int, int]]
) -> None:
    entries = [Entry(name, "file", mode, time, size) for name, (mode, time, size) in files.items()]
    text = encode("cache", model, created_at, identity, {"n": 1}, 7, entries)
    manifest = decode(text)
    assert (manifest.model, manifest.created_at, manifest.identity) == (model, created_at, identity)
    assert list(manifest.entries) == entries
    assert decode(text) == manifest
