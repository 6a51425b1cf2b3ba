"""An artifact as one file, good ones and hostile ones."""

import os
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from glowplug.artifacts.errors import Corrupt, NotFound, StoreError, Untrusted
from glowplug.artifacts.layout import Layout
from glowplug.artifacts.signing import Keys
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.conftest import new_store
from tests.artifacts.test_manifest import chunk, document, entry
from tests.artifacts.trees import MIB, described, files_of

pytestmark = pytest.mark.slow

MAGIC = b"glowplug-artifact-1\n"


@pytest.fixture
def other(tmp_path: Path, store: ArtifactStore) -> ArtifactStore:
    """A store that trusts the first one."""
    assert store.list() == []
    other = new_store(tmp_path / "other")
    (tmp_path / "other/trusted/first.pub").write_bytes((tmp_path / "store/key.pub").read_bytes())
    return other


@pytest.fixture
def exported(tmp_path: Path, tree: Path, store: ArtifactStore) -> Path:
    manifest = store.add("snapshot", "m", tree, {"engine": "vllm"}, {})
    store.export(manifest.id, tmp_path / "exported")
    return tmp_path / "exported"


def test_it_is_the_same_on_the_other_side(
    tmp_path: Path, tree: Path, store: ArtifactStore, other: ArtifactStore, exported: Path
) -> None:
    manifest = other.import_(exported)
    assert [manifest] == list(other.list()) == list(store.list())
    with other.reading(manifest.id) as reader:
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tree)


def test_the_file_is_private_and_takes_hardly_more_than_the_chunks(store: ArtifactStore, exported: Path) -> None:
    (manifest,) = store.list()
    state = exported.stat()
    assert state.st_mode & 0o777 == 0o600
    assert manifest.stored_bytes < state.st_size < manifest.stored_bytes + 8192


def test_importing_twice_changes_nothing(tmp_path: Path, other: ArtifactStore, exported: Path) -> None:
    manifest = other.import_(exported)
    before = files_of(tmp_path / "other")
    with other.reading(manifest.id):
        assert other.import_(exported) == manifest
    assert files_of(tmp_path / "other") == before


def test_importing_again_heals_what_was_damaged_or_in_quarantine(
    tmp_path: Path, other: ArtifactStore, exported: Path
) -> None:
    manifest = other.import_(exported)
    for path in (tmp_path / "other/chunks").iterdir():
        os.truncate(path, 1)
    other.quarantine(manifest.id, "damaged")
    assert other.import_(exported) == manifest
    other.verify(manifest.id)
    assert other.problems() == []


def test_a_strangers_file_is_refused_with_the_remedy(tmp_path: Path, store: ArtifactStore, exported: Path) -> None:
    stranger = new_store(tmp_path / "stranger")
    with pytest.raises(
        Untrusted, match=r"put its public key \(key\.pub in the folder of their store\) into .*/trusted"
    ):
        stranger.import_(exported)
    assert files_of(tmp_path / "stranger") == []


def test_exporting_over_a_file_replaces_it_whole(tmp_path: Path, store: ArtifactStore, exported: Path) -> None:
    (manifest,) = store.list()
    good = exported.read_bytes()
    exported.write_bytes(b"something else")
    store.export(manifest.id, exported)
    assert exported.read_bytes() == good
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part"))


def test_a_damaged_artifact_is_not_exported(tmp_path: Path, store: ArtifactStore, exported: Path) -> None:
    (manifest,) = store.list()
    chunk = max((tmp_path / "store/chunks").iterdir(), key=os.path.getsize)
    os.truncate(chunk, chunk.stat().st_size - 1)
    before = os.listdir(tmp_path)
    with pytest.raises(Corrupt):
        store.export(manifest.id, tmp_path / "second")
    assert os.listdir(tmp_path) == before


def test_places_that_cannot_be_written_or_read(tmp_path: Path, store: ArtifactStore, exported: Path) -> None:
    (manifest,) = store.list()
    with pytest.raises(StoreError, match="cannot be written"):
        store.export(manifest.id, tmp_path / "no folder/file")
    with pytest.raises(StoreError, match="cannot be read"):
        store.import_(tmp_path / "no file")
    with pytest.raises(NotFound):
        store.export("0" * 32, tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(StoreError, match=r"no exported artifact|cannot be read"):
            store.import_(place)


@pytest.mark.parametrize("size", [0, 10, 27, 28, 100, 500, 2 * MIB, -1])
def test_a_file_that_is_cut_off(tmp_path: Path, other: ArtifactStore, exported: Path, size: int) -> None:
    os.truncate(exported, size if size >= 0 else exported.stat().st_size + size)
    with pytest.raises(StoreError):
        other.import_(exported)
    assert files_of(tmp_path / "other") == []


def test_a_file_with_more_at_its_end(tmp_path: Path, other: ArtifactStore, exported: Path) -> None:
    with exported.open("ab") as file:
        file.write(b"x")
    with pytest.raises(Corrupt, match="bytes and should have"):
        other.import_(exported)


def test_one_bit_flipped_anywhere(tmp_path: Path, other: ArtifactStore, exported: Path) -> None:
    good = exported.read_bytes()
    manifest_end = 28 + struct.unpack_from("<Q", good, 20)[0]
    header = [0, 19, 20, 24, 27, 28, 40, 60, 100, 160]
    places = [*header, manifest_end - 2, manifest_end, manifest_end + 2, manifest_end + 500, MIB, len(good) - 1]
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1
        exported.write_bytes(bad)
        with pytest.raises(StoreError):
            other.import_(exported)
        assert files_of(tmp_path / "other") == [], place
    exported.write_bytes(good)
    other.import_(exported)


def archive(text: bytes, keys: Keys, *sizes: int, body: bytes = b"") -> bytes:
    """An exported file made by somebody who holds a trusted key, and means ill."""
    contents = keys.seal(text)
    return MAGIC + struct.pack("<Q", len(contents)) + contents + struct.pack(f"<{len(sizes)}I", *sizes) + body


@pytest.mark.parametrize(
    "entries",
    [
        [entry(path="/etc/cron.d/x")],
        [entry(path="../../x")],
        [entry(path="a/../../x")],
        [entry(path="link", kind="symlink", target="/etc"), entry(path="link/passwd")],
        [entry(path="link", kind="symlink", target="..")],
        [entry(size=1 << 60)],
        [entry(size=1 << 40, chunks=[chunk(length=1 << 40)])],
        [entry(mode=0o4777)],
        [entry(size=10, chunks=[chunk(digest="../../../etc/passwd")])],
    ],
    ids=str,
)
def test_even_a_trusted_key_cannot_sign_its_way_out(
    tmp_path: Path, store: ArtifactStore, entries: list[dict[str, Any]]
) -> None:
    text = msgspec.json.encode(document(entries=entries))
    (tmp_path / "bad").write_bytes(archive(text, Keys(Layout(tmp_path / "store")), 10, body=b"0123456789"))
    with pytest.raises(StoreError, match="manifest of an artifact is not valid"):
        store.import_(tmp_path / "bad")
    assert files_of(tmp_path / "store") == []


@pytest.mark.parametrize("sizes", [[0], [11], [2**32 - 1], []])
def test_chunks_of_absurd_sizes(tmp_path: Path, store: ArtifactStore, sizes: list[int]) -> None:
    text = msgspec.json.encode(document())
    (tmp_path / "bad").write_bytes(archive(text, Keys(Layout(tmp_path / "store")), *sizes))
    with pytest.raises(Corrupt):
        store.import_(tmp_path / "bad")
    assert files_of(tmp_path / "store") == []


def test_a_manifest_of_an_absurd_length(tmp_path: Path, store: ArtifactStore) -> None:
    (tmp_path / "bad").write_bytes(MAGIC + struct.pack("<Q", 2**63) + b"x" * 100)
    with pytest.raises(Corrupt, match="cut off or damaged"):
        store.import_(tmp_path / "bad")
