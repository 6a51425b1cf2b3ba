"""Bytes that are lost or changed, and disks that are full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glowplug.artifacts.compression import force
from glowplug.artifacts.errors import Corrupt, StoreError, StoreFull
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.trees import MIB, described, files_of

pytestmark = pytest.mark.slow


def largest_chunk(store: Path) -> Path:
    return max((store / "chunks").iterdir(), key=lambda path: path.stat().st_size)


def packed_chunk(store: Path) -> Path:
    """The text: a chunk that is kept packed."""
    return max((path for path in (store / "chunks").iterdir() if path.stat().st_size < 100_000), key=os.path.getsize)


def flip(path: Path, at: int) -> None:
    contents = bytearray(path.read_bytes())
    contents[at] ^= 1
    path.write_bytes(contents)


DAMAGE = {
    "one bit": lambda path: flip(path, path.stat().st_size // 2),
    "the first bit": lambda path: flip(path, 0),
    "the last byte gone": lambda path: os.truncate(path, path.stat().st_size - 1),
    "half gone": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "too long": lambda path: os.truncate(path, 100 * MIB),
    "gone": lambda path: path.unlink(),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("which", [largest_chunk, packed_chunk])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_chunk_is_never_handed_out(
    tmp_path: Path, tree: Path, store: ArtifactStore, which: object, damage: str
) -> None:
    assert callable(which)
    manifest = store.add("snapshot", "m", tree, {}, {})
    chunk = which(tmp_path / "store")
    DAMAGE[damage](chunk)
    with store.reading(manifest.id) as reader, pytest.raises(Corrupt) as raised:
        reader.materialise(tmp_path / "out")
    assert manifest.id in str(raised.value)
    assert chunk.name in str(raised.value)
    assert "images/" in str(raised.value)  # the file
    assert os.listdir(tmp_path / "out") == []
    with pytest.raises(Corrupt):
        store.verify(manifest.id)


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_next_artifact_does_not_build_on_a_damaged_chunk(
    tmp_path: Path, tree: Path, store: ArtifactStore, damage: str
) -> None:
    first = store.add("snapshot", "m", tree, {"n": 1}, {})
    DAMAGE[damage](largest_chunk(tmp_path / "store"))
    second = store.add("snapshot", "m", tree, {"n": 2}, {})
    store.verify(second.id)
    store.verify(first.id)  # healed


def test_a_tree_that_changes_while_it_is_stored_is_not_stored(
    tmp_path: Path, tree: Path, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.preadv
    done: list[int] = []

    def preadv(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if not done:
            done.append(1)
            with (tree / "images/pages-1.img").open("ab") as file:
                file.write(b"more")
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(StoreError, match=r"pages-1\.img changed while"):
        store.add("snapshot", "m", tree, {}, {})
    assert files_of(tmp_path / "store") == []


def test_a_quota_that_is_too_small_leaves_nothing(tmp_path: Path, tree: Path) -> None:
    force(tmp_path / "store", 1)
    store = ArtifactStore(tmp_path / "store", quota=2 * MIB)
    with pytest.raises(StoreFull, match="quota of 2097152 bytes; remove artifacts"):
        store.add("snapshot", "m", tree, {}, {})
    assert files_of(tmp_path / "store") == []


def test_a_quota_counts_equal_chunks_once_and_garbage_not_at_all(tmp_path: Path, tree: Path) -> None:
    force(tmp_path / "store", 1)
    store = ArtifactStore(tmp_path / "store", quota=5 * MIB)
    first = store.add("snapshot", "m", tree, {"n": 1}, {})
    store.add("snapshot", "m", tree, {"n": 2}, {})
    (tree / "images/pages-1.img").write_bytes(os.urandom(3 * MIB))
    with pytest.raises(StoreFull):
        store.add("snapshot", "m", tree, {"n": 3}, {})
    for manifest in store.list():
        store.verify(manifest.id)
        store.remove(manifest.id)
    store.add("snapshot", "m", tree, {"n": 4}, {})  # the chunks of the removed ones give way
    assert first.id not in {manifest.id for manifest in store.list()}


_FULL_DISK = """
import os, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from glowplug.artifacts.errors import StoreFull
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.trees import described, files_of
disk, tree, other = map(Path, sys.argv[1:])
os.system(f"mount -t tmpfs -o size=6m,mode=700 none {disk}") == 0 or sys.exit("no mount")
store = ArtifactStore(disk / "store")
(tree / "noise").write_bytes(os.urandom(8 << 20))
try:
    store.add("snapshot", "m", tree, {}, {})
    sys.exit("it fitted")
except StoreFull as error:
    assert "free space" in str(error), error
assert files_of(disk / "store") == [], files_of(disk / "store")
(tree / "noise").unlink()
(tree / "images/pages-1.img").write_bytes(b"small")
manifest = store.add("snapshot", "m", tree, {}, {})
with store.reading(manifest.id) as reader:
    reader.materialise(other / "out")
assert described(other / "out") == described(tree)
roomy = ArtifactStore(other / "store")
(tree / "noise").write_bytes(os.urandom(8 << 20))
manifest = roomy.add("snapshot", "m", tree, {}, {})
try:
    with roomy.reading(manifest.id) as reader:
        reader.materialise(disk / "out")
    sys.exit("it fitted")
except StoreFull as error:
    assert "has no room" in str(error), error
assert os.listdir(disk / "out") == []
try:
    roomy.export(manifest.id, disk / "file")
    sys.exit("it fitted")
except StoreFull as error:
    assert "no room" in str(error), error
assert sorted(os.listdir(disk)) == ["out", "store"]
"""


@pytest.mark.root
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "other").mkdir(mode=0o700)
    command = ["unshare", "--mount", sys.executable, "-c", _FULL_DISK, tmp_path / "disk", tree, tmp_path / "other"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_after_damage_a_good_copy_is_materialised_again(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    flip(largest_chunk(tmp_path / "store"), 1000)
    with store.reading(manifest.id) as reader:
        with pytest.raises(Corrupt):
            reader.materialise(tmp_path / "out")
        store.quarantine(manifest.id, "damaged")
    again = store.add("snapshot", "m", tree, {}, {})
    with store.reading(again.id) as reader:
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tree)
