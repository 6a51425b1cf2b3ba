"""kill -9 before every change to the disk: the store is as it was or as it should be, and the rest can be freed."""

import os
from pathlib import Path

import pytest

from glowplug.artifacts.compression import force
from glowplug.artifacts.manifest import Manifest
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.children import killed_at
from tests.artifacts.trees import described, files_of

# One test kills some dozens of children.
pytestmark = pytest.mark.slow


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """As small as can be with more than one of everything."""
    (tmp_path / "tree/folder").mkdir(parents=True)
    (tmp_path / "tree/noise").write_bytes(os.urandom(3000))
    (tmp_path / "tree/folder/text").write_bytes(b"text " * 3000)
    return tmp_path / "tree"


def consistent(store_path: Path) -> list[Manifest]:
    """The published artifacts of a store of which everything is in order, after its garbage is gone."""
    store = ArtifactStore(store_path)
    store.collect()
    assert [problem for problem in store.problems() if not problem.quarantined] == []
    manifests = list(store.list())
    for manifest in manifests:
        store.verify(manifest.id)
    needed = {f"chunks/{chunk.digest}" for manifest in manifests for chunk in manifest.chunks()}
    published = {f"manifests/{manifest.id}" for manifest in manifests}
    assert {name for name in files_of(store_path) if not name.startswith("quarantine/")} == needed | published
    return manifests


def fresh(tmp_path: Path, tree: Path) -> tuple[Path, Manifest]:
    """A new store with one artifact; of the tree one file has changed since."""
    path = tmp_path / f"store{len(os.listdir(tmp_path))}"
    force(path, 1)
    (tree / "noise").write_bytes(os.urandom(3000))
    first = ArtifactStore(path).add("snapshot", "m", tree, {"n": 1}, {})
    (tree / "noise").write_bytes(os.urandom(3000))
    return path, first


def test_killed_while_adding(tmp_path: Path, tree: Path) -> None:
    found: list[int] = []
    step = 1
    while True:
        path, first = fresh(tmp_path, tree)
        store = ArtifactStore(path)
        killed = killed_at(step, lambda store=store: store.add("snapshot", "m", tree, {"n": 2}, {}) and None)
        manifests = consistent(path)
        assert first in manifests
        found.append(len(manifests))
        again = store.add("snapshot", "m", tree, {"n": 3}, {})  # and the store goes on working
        with store.reading(again.id) as reader:
            reader.materialise(tmp_path / f"out{step}")
        assert described(tmp_path / f"out{step}") == described(tree)
        if not killed:
            break
        step += 1
    assert step > 15
    assert found == sorted(found)  # once it is published it stays
    assert {found[0], found[-1]} == {1, 2}


def test_killed_while_the_store_is_made(tmp_path: Path, tree: Path) -> None:
    path = tmp_path / "store"
    step = 1
    while killed_at(step, lambda: ArtifactStore(path) and None):
        store = ArtifactStore(path)  # what is half made is made whole
        force(path, 1)
        manifest = store.add("snapshot", "m", tree, {}, {})
        assert list(ArtifactStore(path).list()) == [manifest]
        path.rename(tmp_path / f"done{step}")
        step += 1
    assert step > 10


@pytest.mark.parametrize("action", ["remove", "quarantine", "collect"])
def test_killed_while_taking_away(tmp_path: Path, tree: Path, action: str) -> None:
    step = 1
    while True:
        path, first = fresh(tmp_path, tree)
        store = ArtifactStore(path)
        second = store.add("snapshot", "m", tree, {"n": 2}, {})
        if action == "collect":
            store.remove(first.id)

        def act(store: ArtifactStore = store, name: str = first.id) -> None:
            if action == "remove":
                store.remove(name)
            elif action == "quarantine":
                store.quarantine(name, "a reason")
            else:
                store.collect()

        killed = killed_at(step, act)
        manifests = consistent(path)
        assert second in manifests
        assert first not in manifests or (killed and action != "collect")
        quarantined = [problem.name for problem in store.problems()]
        assert quarantined == ([first.id] if action == "quarantine" and first not in manifests else [])
        if not killed:
            break
        step += 1
    assert step > 2


def test_killed_while_importing(tmp_path: Path, tree: Path) -> None:
    path, first = fresh(tmp_path, tree)
    file = tmp_path / "exported"
    ArtifactStore(path).export(first.id, file)
    target = tmp_path / "target"
    step = 1
    while True:
        force(target, 1)
        (target / "trusted").mkdir(mode=0o700, exist_ok=True)
        (target / "trusted/friend.pub").write_bytes((path / "key.pub").read_bytes())
        store = ArtifactStore(target)
        killed = killed_at(step, lambda store=store: store.import_(file) and None)
        assert consistent(target) in ([], [first])
        assert store.import_(file) == first
        assert consistent(target) == [first]
        if not killed:
            break
        target.rename(tmp_path / f"done{step}")
        step += 1
    assert step > 10


def test_killed_while_exporting(tmp_path: Path, tree: Path) -> None:
    path, first = fresh(tmp_path, tree)
    store = ArtifactStore(path)
    file = tmp_path / "exported"
    step = 1
    while killed_at(step, lambda: store.export(first.id, file)):
        if file.exists():  # then it is whole
            store.remove(first.id)
            assert store.import_(file) == first
            file.unlink()
        assert consistent(path) == [first]
        step += 1
    assert file.exists()
    assert step > 3
