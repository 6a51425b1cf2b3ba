"""Several processes use one store at once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from glowplug.artifacts.errors import InUse, StoreError
from glowplug.artifacts.store import ArtifactStore
from glowplug.artifacts.writer import Writer
from tests.artifacts.children import Stopped, forked
from tests.artifacts.trees import described, files_of

pytestmark = pytest.mark.slow


def adding(store: ArtifactStore, tree: Path) -> Callable[[Callable[[], None]], None]:
    """Add the tree, stopping when all chunks are written and the artifact is not yet published."""

    def work(moment: Callable[[], None]) -> None:
        real = Writer.publish

        def publish(self: Writer, name: str, contents: bytes) -> None:
            moment()
            real(self, name, contents)

        Writer.publish = publish
        store.add("snapshot", "m", tree, {"by": "the other process"}, {})

    return work


def reading(store: ArtifactStore, name: str, out: Path) -> Callable[[Callable[[], None]], None]:
    def work(moment: Callable[[], None]) -> None:
        with store.reading(name) as reader:
            moment()
            reader.materialise(out)

    return work


def test_collecting_takes_nothing_from_a_writer(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    with Stopped(adding(store, tree)) as other:
        assert list(store.list()) == []
        assert store.collect() == 0
        other.release()
    (manifest,) = store.list()
    store.verify(manifest.id)
    assert store.collect() == 0


def test_a_writer_keeps_the_chunks_it_found_when_their_artifact_goes(
    tmp_path: Path, tree: Path, store: ArtifactStore
) -> None:
    first = store.add("snapshot", "m", tree, {}, {})
    with Stopped(adding(store, tree)) as other:
        store.remove(first.id)
        assert store.collect() == 0
        other.release()
    (second,) = store.list()
    with store.reading(second.id) as reader:
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tree)


def test_what_a_killed_writer_left_is_freed(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    with Stopped(adding(store, tree)) as other:
        other.kill()
    assert files_of(tmp_path / "store") != []
    assert store.collect() > 3_000_000
    assert files_of(tmp_path / "store") == []


def test_removing_and_collecting_take_nothing_from_a_reader(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    with Stopped(reading(store, manifest.id, tmp_path / "out")) as other:
        with pytest.raises(InUse):
            store.remove(manifest.id)
        assert store.collect() == 0
        other.release()
    assert described(tmp_path / "out") == described(tree)
    store.remove(manifest.id)


def test_a_reader_finishes_what_is_put_into_quarantine(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    with Stopped(reading(store, manifest.id, tmp_path / "out")) as other:
        store.quarantine(manifest.id, "the canary differs")
        assert store.collect() == 0
        with pytest.raises(InUse):
            store.remove(manifest.id)
        other.release()
    assert described(tmp_path / "out") == described(tree)
    assert store.collect() == manifest.stored_bytes


def test_a_killed_reader_holds_nothing(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    with Stopped(reading(store, manifest.id, tmp_path / "out")) as other:
        other.kill()
    store.remove(manifest.id)
    assert store.collect() == manifest.stored_bytes


def test_two_that_open_a_new_store_use_the_same_key(tmp_path: Path, tree: Path) -> None:
    path = tmp_path / "fresh"

    def work() -> None:
        ArtifactStore(path).add("cache", str(os.getpid()), tree, {}, {})

    children = [forked(work) for _ in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 4
    assert {manifest.model for manifest in ArtifactStore(path).list()} == {str(pid) for pid in children}


@pytest.mark.slow
def test_many_that_add_read_remove_and_collect_at_once(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    kept = store.add("snapshot", "kept", tree, {}, {})

    def work() -> None:
        own = ArtifactStore(tmp_path / "store")
        for turn in range(8):
            manifest = own.add("snapshot", "m", tree, {"by": os.getpid(), "turn": turn}, {})
            own.verify(manifest.id)
            own.collect()
            own.verify(kept.id)
            try:
                own.remove(manifest.id)
            except StoreError as error:
                raise AssertionError(f"nobody else reads {manifest.id}") from error
            own.collect()

    children = [forked(work) for _ in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 4
    store.collect()
    assert list(store.list()) == [kept]
    assert len(os.listdir(tmp_path / "store/chunks")) == len(kept.distinct_chunks())
    assert os.listdir(tmp_path / "store/writing") == []
