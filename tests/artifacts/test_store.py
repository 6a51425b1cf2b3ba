"""What goes into the store comes out of it."""

import os
from pathlib import Path

import pytest

from glowplug.artifacts.errors import InUse, NotFound, StoreError
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.trees import MIB, described, files_of, sparse_file


def test_contents_modes_times_links_and_holes_come_back(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "smollm2", tree, {"engine": "x"}, {})
    with store.reading(manifest.id) as reader:
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tree)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "out/sparse").stat().st_blocks * 512 <= MIB


def test_the_manifest_says_what_was_given_and_what_it_takes(tree: Path, store: ArtifactStore) -> None:
    identity, facts = {"engine": "vllm", "flags": ["avx2"]}, {"restore": 1.5}
    manifest = store.add("snapshot", "smollm2", tree, identity, facts)
    assert (manifest.kind, manifest.model, manifest.identity, manifest.facts) == (
        "snapshot",
        "smollm2",
        identity,
        facts,
    )
    assert 3 * MIB + 17 + 4_000_000 <= manifest.raw_bytes < 8 * MIB  # and not the 16 MiB of mostly holes
    assert 3 * MIB < manifest.stored_bytes < 4 * MIB


def test_another_process_sees_the_same_artifact(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("cache", "m", tree, {}, {})
    again = ArtifactStore(tmp_path / "store")
    assert list(again.list()) == [manifest]
    assert again.get(manifest.id[:5]) == manifest


def test_the_newest_of_a_model_and_kind(tree: Path, store: ArtifactStore) -> None:
    first, second = (store.add("snapshot", "m", tree, {"n": n}, {}) for n in range(2))
    other = store.add("cache", "m", tree, {}, {})
    assert store.newest("snapshot", "m") == second
    assert store.newest("cache", "m") == other
    assert store.newest("snapshot", "other") is None
    assert list(store.list("snapshot")) == [second, first]


def test_equal_chunks_are_kept_once(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    store.add("snapshot", "m", tree, {"n": 1}, {})
    before = set(files_of(tmp_path / "store"))
    store.add("snapshot", "m", tree, {"n": 2}, {})
    new = set(files_of(tmp_path / "store")) - before
    assert [name.split("/")[0] for name in new] == ["manifests"]


def test_what_is_removed_is_gone_and_frees_what_only_it_needed(
    tmp_path: Path, tree: Path, store: ArtifactStore
) -> None:
    kept = store.add("snapshot", "m", tree, {"n": 1}, {})
    (tree / "more").write_bytes(os.urandom(MIB))
    gone = store.add("snapshot", "m", tree, {"n": 2}, {})
    store.remove(gone.id)
    assert list(store.list()) == [kept]
    assert store.collect() == MIB
    assert store.collect() == 0
    store.verify(kept.id)
    store.remove(kept.id)
    store.collect()
    assert files_of(tmp_path / "store") == []


def test_what_is_being_read_is_neither_removed_nor_collected(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    other = ArtifactStore(tmp_path / "store")
    with store.reading(manifest.id) as reader:
        with pytest.raises(InUse, match="is being read"):
            other.remove(manifest.id)
        other.quarantine(manifest.id, "the canary differs")
        assert other.list() == []
        assert other.collect() == 0
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tree)
    assert other.collect() == manifest.stored_bytes


def test_quarantine_keeps_the_reason_until_it_is_removed(tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    store.quarantine(manifest.id, "the canary differs")
    (problem,) = store.problems()
    assert (problem.name, problem.reason, problem.quarantined) == (manifest.id, "the canary differs", True)
    assert store.newest("snapshot", "m") is None
    with pytest.raises(NotFound), store.reading(manifest.id):
        pass
    store.remove(manifest.id)
    assert store.problems() == []


@pytest.mark.parametrize("name", ["", "f00", "../key.pem", "/etc/passwd", "."])
def test_a_name_of_nothing(tmp_path: Path, tree: Path, store: ArtifactStore, name: str) -> None:
    store.add("snapshot", "m", tree, {}, {})
    with pytest.raises(NotFound):
        store.get(name)
    with pytest.raises(NotFound), store.reading(name):
        pass
    with pytest.raises(NotFound):
        store.remove(name)
    with pytest.raises(NotFound):
        store.quarantine(name, "reason")
    assert (tmp_path / "store/key.pem").exists()
    assert len(store.list()) == 1


def test_a_prefix_of_several_artifacts_asks_for_more(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    (tmp_path / "store/manifests" / (manifest.id[:-1] + "x")).touch()
    with pytest.raises(NotFound, match="give more of the id"):
        store.get(manifest.id[:-1])
    assert store.get(manifest.id) == manifest


def test_only_an_empty_directory_is_written_into(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    (tmp_path / "out").mkdir(mode=0o700)
    (tmp_path / "out/mine").touch()
    with store.reading(manifest.id) as reader, pytest.raises(StoreError, match="not empty"):
        reader.materialise(tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["mine"]


def test_progress_ends_with_everything(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    seen: list[tuple[int, int]] = []
    with store.reading(manifest.id) as reader:
        reader.materialise(tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (manifest.raw_bytes, manifest.raw_bytes)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("target", "why"),
    [("/etc/passwd", "absolute"), ("../../x", "outside"), ("images/../x", "after a name")],
)
def test_a_link_that_leads_out_of_the_tree_is_refused(
    tmp_path: Path, store: ArtifactStore, target: str, why: str
) -> None:
    tree = tmp_path / "tree"
    (tree / "images").mkdir(parents=True)
    (tree / "images/link").symlink_to(target)
    with pytest.raises(StoreError, match=why):
        store.add("snapshot", "m", tree, {}, {})
    assert files_of(tmp_path / "store") == []


def test_a_socket_a_pipe_or_a_device_is_refused(tmp_path: Path, store: ArtifactStore) -> None:
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree/pipe")
    with pytest.raises(StoreError, match="neither a file"):
        store.add("snapshot", "m", tmp_path / "tree", {}, {})


def test_holes_inside_a_chunk_stay_holes_when_they_are_long(tmp_path: Path, store: ArtifactStore) -> None:
    (tmp_path / "tree").mkdir()
    marks = dict.fromkeys(range(0, 32 * MIB, MIB), b"x" * 4096)
    sparse_file(tmp_path / "tree/sparse", 32 * MIB, marks)
    manifest = store.add("snapshot", "m", tmp_path / "tree", {}, {})
    assert manifest.raw_bytes == 32 * 4096
    with store.reading(manifest.id) as reader:
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tmp_path / "tree")


def test_zeros_are_not_stored(tmp_path: Path, store: ArtifactStore) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/zeros").write_bytes(bytes(5 * MIB))
    manifest = store.add("snapshot", "m", tmp_path / "tree", {}, {})
    assert (manifest.raw_bytes, manifest.stored_bytes) == (0, 0)
    with store.reading(manifest.id) as reader:
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tmp_path / "tree")
