"""Whose artifacts are believed: the store's own, and those of keys that a person put there."""

import subprocess
from pathlib import Path

import pytest

from glowplug.artifacts.errors import StoreError, Untrusted
from glowplug.artifacts.signing import unseal
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.conftest import new_store


def test_the_key_is_made_once(tmp_path: Path) -> None:
    ArtifactStore(tmp_path / "store")
    before = (tmp_path / "store/key.pem").read_bytes(), (tmp_path / "store/key.pub").read_bytes()
    ArtifactStore(tmp_path / "store")
    assert before == ((tmp_path / "store/key.pem").read_bytes(), (tmp_path / "store/key.pub").read_bytes())
    ArtifactStore(tmp_path / "other")
    assert (tmp_path / "other/key.pem").read_bytes() != before[0]


def test_fingerprints_are_those_of_ssh_keygen(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    with store.sealed(manifest.id) as (contents, _):
        signer = unseal(contents, "it").signer
    try:
        told = subprocess.run(["ssh-keygen", "-lf", tmp_path / "store/key.pub"], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs ssh-keygen")
    assert told.stdout.split()[1] == signer


@pytest.mark.parametrize("place", ["header", "signature", "text", "end"])
def test_one_bit_of_a_manifest_changed(tmp_path: Path, tree: Path, store: ArtifactStore, place: str) -> None:
    manifest = store.add("snapshot", "m", tree, {"engine": "vllm"}, {})
    file = tmp_path / "store/manifests" / manifest.id
    contents = bytearray(file.read_bytes())
    line = contents.index(b"\n")
    at = {"header": 3, "signature": line - 20, "text": contents.index(b"vllm"), "end": len(contents) - 2}[place]
    contents[at] ^= 1
    file.write_bytes(contents)
    assert list(store.list()) == []
    assert store.newest("snapshot", "m") is None
    assert [problem.name for problem in store.problems()] == [manifest.id]
    with pytest.raises(StoreError), store.reading(manifest.id):
        pass
    with pytest.raises(StoreError):
        ArtifactStore(tmp_path / "store").get(manifest.id)


def test_a_manifest_cut_short_or_emptied(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    file = tmp_path / "store/manifests" / manifest.id
    contents = file.read_bytes()
    for size in (0, 10, 100, 200, len(contents) - 1):
        file.write_bytes(contents[:size])
        assert list(store.list()) == []
        assert len(store.problems()) == 1
    file.write_bytes(contents)
    assert list(store.list()) == [manifest]


def test_a_manifest_under_the_name_of_another(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    old = store.add("snapshot", "m", tree, {"n": 1}, {})
    new = store.add("snapshot", "m", tree, {"n": 2}, {})
    folder = tmp_path / "store/manifests"
    (folder / old.id).replace(folder / new.id)
    assert list(store.list()) == []
    assert "named for" in store.problems()[0].reason


def plant(source: ArtifactStore, name: str, store: Path) -> None:
    with source.sealed(name) as (contents, _):
        file = store / "manifests" / name
        file.write_bytes(contents)
        file.chmod(0o600)


def test_the_key_of_a_stranger_is_refused_until_it_is_put_there(
    tmp_path: Path, tree: Path, store: ArtifactStore
) -> None:
    stranger = new_store(tmp_path / "stranger")
    manifest = stranger.add("snapshot", "m", tree, {}, {})
    plant(stranger, manifest.id, tmp_path / "store")
    assert list(store.list()) == []
    with pytest.raises(Untrusted, match="not trusted here") as raised:
        store.get(manifest.id)
    assert str(tmp_path / "store/trusted") in str(raised.value)
    (tmp_path / "store/trusted/friend.pub").write_bytes((tmp_path / "stranger/key.pub").read_bytes())
    assert list(store.list()) == [manifest]
    (tmp_path / "store/trusted/friend.pub").unlink()
    assert list(store.list()) == []


def test_a_stranger_who_claims_to_be_the_store_itself(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    own = store.add("snapshot", "m", tree, {"n": 1}, {})
    stranger = new_store(tmp_path / "stranger")
    forged = stranger.add("snapshot", "m", tree, {"n": 2}, {})
    with store.sealed(own.id) as (ours, _), stranger.sealed(forged.id) as (theirs, _):
        name, signature = unseal(ours, "").signer, theirs.split(b"\n", 1)[0].split(b" ")[2]
        contents = b"glowplug-manifest-1 %s %s\n" % (name.encode(), signature) + unseal(theirs, "").text
    (tmp_path / "store/manifests" / forged.id).write_bytes(contents)
    (tmp_path / "store/manifests" / forged.id).chmod(0o600)
    with pytest.raises(Untrusted, match="changed after it was signed"):
        store.get(forged.id)


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"nonsense",
        b"ssh-ed25519 AAAA",
        b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQ== x",
        b"\xff" * 100,
        b"x" * 20_000,
    ],
)
def test_a_file_that_is_no_key_is_a_problem_and_stops_nothing(
    tmp_path: Path, tree: Path, store: ArtifactStore, contents: bytes
) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    (tmp_path / "store/trusted/bad.pub").write_bytes(contents)
    assert list(store.list()) == [manifest]
    (problem,) = store.problems()
    assert problem.name.endswith("trusted/bad.pub")


@pytest.mark.parametrize("contents", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_own_key_is_said_to_be(tmp_path: Path, store: ArtifactStore, contents: bytes) -> None:
    (tmp_path / "store/key.pem").write_bytes(contents)
    with pytest.raises(StoreError, match=r"key\.pem is damaged; remove it"):
        ArtifactStore(tmp_path / "store")
