"""Artifacts in object stores: a folder, and a real S3 server."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import ObjectStore, from_url

from glowplug.artifacts import remote
from glowplug.artifacts.errors import Corrupt, NotFound, StoreError, Untrusted
from glowplug.artifacts.remote import pull, push
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.conftest import new_store
from tests.artifacts.s3_server import S3Server
from tests.artifacts.trees import described, files_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    pytest.importorskip("moto.server")
    with S3Server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/some%20bucket"
    server: S3Server = request.getfixturevalue("s3")
    return server.make_bucket(uuid.uuid4().hex) + "/some/path"


@pytest.fixture
def other(tmp_path: Path, store: ArtifactStore) -> ArtifactStore:
    """A store that trusts the first one."""
    assert store.list() == []
    other = new_store(tmp_path / "other")
    (tmp_path / "other/trusted/first.pub").write_bytes((tmp_path / "store/key.pub").read_bytes())
    return other


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are written."""
    return recorded(monkeypatch, "put")


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are read."""
    return recorded(monkeypatch, "get")


def recorded(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    keys: list[str] = []
    real = getattr(obstore, name)

    def call(store: ObjectStore, key: str, *args: Any, **kwargs: Any) -> Any:
        keys.append(key)
        return real(store, key, *args, **kwargs)

    monkeypatch.setattr(remote.obstore, name, call)
    return keys


def bucket(url: str) -> ObjectStore:
    return from_url(url.replace("%20", " "))


def keys_of(url: str) -> list[str]:
    return sorted(entry["path"] for batch in obstore.list(bucket(url)) for entry in batch)


def test_what_is_pushed_is_pulled(
    tmp_path: Path, tree: Path, store: ArtifactStore, other: ArtifactStore, url: str, sent: list[str]
) -> None:
    manifest = store.add("snapshot", "org/model:1", tree, {"engine": "vllm"}, {})
    assert push(store, manifest.id[:8], url) == manifest
    assert sent[-1].startswith("manifests/")  # last
    assert sorted(sent) == keys_of(url)
    assert pull(other, manifest.id, url) == manifest
    with other.reading(manifest.id) as reader:
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tree)


def test_the_newest_of_a_model_is_pulled(tree: Path, store: ArtifactStore, other: ArtifactStore, url: str) -> None:
    old, new = (store.add("snapshot", "m", tree, {"n": n}, {}) for n in range(2))
    cache = store.add("cache", "m", tree, {}, {})
    for manifest in (new, cache, old):
        push(store, manifest.id, url)
    assert pull(other, "m", url) == new
    assert pull(other, "m", url, kind="cache") == cache
    with pytest.raises(NotFound, match="There is no snapshot of 'another'"):
        pull(other, "another", url)


def test_chunks_that_are_there_are_neither_sent_nor_fetched(
    tree: Path, store: ArtifactStore, other: ArtifactStore, url: str, sent: list[str], fetched: list[str]
) -> None:
    first = store.add("snapshot", "m", tree, {"n": 1}, {})
    push(store, first.id, url)
    pull(other, first.id, url)
    (tree / "more").write_bytes(os.urandom(1000))
    second = store.add("snapshot", "m", tree, {"n": 2}, {})
    sent.clear()
    fetched.clear()
    push(store, second.id, url)
    pull(other, second.id, url)
    assert len([key for key in sent if key.startswith("chunks/")]) == 1
    assert [key for key in fetched if key.startswith("chunks/")] == sent[:1]


_KILLED = """
import os, signal, sys
from pathlib import Path
import obstore
from glowplug.artifacts import remote
from glowplug.artifacts.store import ArtifactStore
action, directory, name, url = sys.argv[1:]
remote._STREAMS = 1
call, left = {"push": "put", "pull": "get"}[action], 3
real = getattr(obstore, call)
def counting(*args, **kwargs):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(obstore, call, counting)
getattr(remote, action)(ArtifactStore(Path(directory)), name, url)
"""


def killed(action: str, directory: Path, name: str, url: str) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, action, directory, name, url], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_push_that_was_killed_goes_on(
    tmp_path: Path, tree: Path, store: ArtifactStore, other: ArtifactStore, url: str, sent: list[str]
) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    killed("push", tmp_path / "store", manifest.id, url)
    before = keys_of(url)
    assert len(before) == 3
    with pytest.raises(NotFound):
        pull(other, manifest.id, url)  # without its manifest it does not exist
    push(store, manifest.id, url)
    assert not set(before) & set(sent)
    assert pull(other, manifest.id, url) == manifest


def test_a_pull_that_was_killed_goes_on(
    tmp_path: Path, tree: Path, store: ArtifactStore, other: ArtifactStore, url: str, fetched: list[str]
) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    push(store, manifest.id, url)
    killed("pull", tmp_path / "other", manifest.id, url)
    assert list(other.list()) == []
    there = len(os.listdir(tmp_path / "other/chunks"))
    assert there == 2  # the first object was the manifest
    assert pull(other, manifest.id, url) == manifest
    assert len([key for key in fetched if key.startswith("chunks/")]) == len(manifest.distinct_chunks()) - there
    other.verify(manifest.id)
    other.collect()
    assert os.listdir(tmp_path / "other/writing") == []


def test_a_strangers_artifact_is_refused(
    tmp_path: Path, tree: Path, store: ArtifactStore, url: str, fetched: list[str]
) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    push(store, manifest.id, url)
    stranger = new_store(tmp_path / "stranger")
    for name in (manifest.id, "m"):
        with pytest.raises(Untrusted, match=r"NAME\.pub"):
            pull(stranger, name, url)
    assert not [key for key in fetched if key.startswith("chunks/")]
    assert files_of(tmp_path / "stranger") == []


def change(url: str, key: str, contents: bytes) -> None:
    obstore.put(bucket(url), key, contents)


def test_damage_in_the_object_store_is_found(
    tmp_path: Path, tree: Path, store: ArtifactStore, other: ArtifactStore, url: str
) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    push(store, manifest.id, url)
    for key in (keys_of(url)[0], keys_of(url)[-1]):
        good = bytes(obstore.get(bucket(url), key).bytes())
        flipped = bytearray(good)
        flipped[len(good) // 2] ^= 1
        for bad in (bytes(flipped), good[:-1], b"", good + bytes(3 << 20)):
            change(url, key, bad)
            with pytest.raises(StoreError):
                pull(other, manifest.id, url)
            assert list(other.list()) == []
        change(url, key, good)
    assert pull(other, manifest.id, url) == manifest
    other.verify(manifest.id)


def test_a_chunk_that_is_too_large_is_refused_before_it_is_fetched(
    tree: Path, store: ArtifactStore, other: ArtifactStore, url: str
) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    push(store, manifest.id, url)
    change(url, keys_of(url)[0], bytes(3 << 20))
    with pytest.raises(Corrupt, match="has 3145728 bytes in the object store, more than it can have"):
        pull(other, manifest.id, url)


def test_a_chunk_that_is_missing_is_named(tree: Path, store: ArtifactStore, other: ArtifactStore, url: str) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    push(store, manifest.id, url)
    gone = manifest.distinct_chunks()[0].digest
    obstore.delete(bucket(url), f"chunks/{gone}")
    with pytest.raises(Corrupt, match=f"{gone} is missing in .*push the artifact again"):
        pull(other, manifest.id, url)
    push(store, manifest.id, url)
    assert pull(other, manifest.id, url) == manifest


def test_a_manifest_under_the_name_of_another_is_refused(
    tree: Path, store: ArtifactStore, other: ArtifactStore, url: str
) -> None:
    old, new = (store.add("snapshot", "m", tree, {"n": n}, {}) for n in range(2))
    push(store, old.id, url)
    (key,) = (key for key in keys_of(url) if key.startswith("manifests/"))
    change(url, key.replace(old.id, new.id), bytes(obstore.get(bucket(url), key).bytes()))
    with pytest.raises(Untrusted, match="another one than its name says"):
        pull(other, new.id, url)


@pytest.mark.parametrize(
    "url", ["", "bucket", "ftp://x/y", "memory:///", "http://127.0.0.1/x", "s3://", "file:///nowhere/at/all"]
)
def test_addresses_that_are_none(tree: Path, store: ArtifactStore, url: str) -> None:
    with pytest.raises(StoreError) as raised:
        pull(store, "m", url)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_sentence(s3: S3Server, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    with pytest.raises(StoreError, match="s3://nobodys/x cannot be used") as raised:
        push(store, manifest.id, "s3://nobodys/x")
    assert "\n" not in str(raised.value)
