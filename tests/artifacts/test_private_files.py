"""What others could have changed is not used, whatever part of the store it is."""

import os
from pathlib import Path

import pytest

from glowplug.artifacts.errors import Corrupt, StoreError, Unsafe
from glowplug.artifacts.private_files import names_in, open_directory, open_file, open_root, read_file
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.trees import described, files_of

PARTS = ["", "chunks", "manifests", "quarantine", "writing", "trusted"]
STRANGER = 12345


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, store: ArtifactStore, part: str, mode: int) -> None:
    (tmp_path / "store" / part).chmod(mode)
    with pytest.raises(Unsafe, match="chmod 700"):
        ArtifactStore(tmp_path / "store")


@pytest.mark.parametrize("part", PARTS)
def test_a_link_in_place_of_a_folder_is_refused(tmp_path: Path, store: ArtifactStore, part: str) -> None:
    folder = tmp_path / "store" / part
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unsafe, match="symbolic link"):
        ArtifactStore(tmp_path / "store")


@pytest.mark.root
@pytest.mark.parametrize("part", PARTS)
def test_a_folder_of_another_user_is_refused(tmp_path: Path, store: ArtifactStore, part: str) -> None:
    os.chown(tmp_path / "store" / part, STRANGER, STRANGER)
    with pytest.raises(Unsafe, match=f"belongs to user {STRANGER}"):
        ArtifactStore(tmp_path / "store")


@pytest.mark.root
def test_a_folder_above_that_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", STRANGER, STRANGER)
    with pytest.raises(Unsafe, match="could replace"):
        ArtifactStore(tmp_path / "theirs/store")


def test_a_folder_above_that_others_can_write_is_refused_unless_it_is_sticky(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Unsafe, match="chmod go-w"):
        ArtifactStore(tmp_path / "open/store")
    (tmp_path / "open").chmod(0o1777)
    ArtifactStore(tmp_path / "open/store")


def test_a_link_above_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    ArtifactStore(tmp_path / "home/state/store")
    assert (tmp_path / "disk/state/store/key.pem").exists()


def test_everything_is_closed_to_others_from_the_start(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    before = os.umask(0)
    try:
        store.add("snapshot", "m", tree, {}, {})
    finally:
        os.umask(before)
    for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_store_that_others_can_only_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o755)
    (tmp_path / "store").chmod(0o755)
    ArtifactStore(tmp_path / "store")
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


def chunk_of(store: Path) -> Path:
    return max((store / "chunks").iterdir(), key=lambda path: path.stat().st_size)


def test_a_link_in_place_of_a_chunk_is_not_followed(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    chunk = chunk_of(tmp_path / "store")
    chunk.rename(tmp_path / "the very same bytes")
    chunk.symlink_to(tmp_path / "the very same bytes")
    with store.reading(manifest.id) as reader, pytest.raises(Corrupt, match="symbolic link"):
        reader.materialise(tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []
    again = store.add("snapshot", "m", tree, {"n": 2}, {})  # and the next artifact does not build on it
    store.verify(again.id)
    assert not chunk.is_symlink()


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_chunk_that_others_can_write_is_not_used(tmp_path: Path, tree: Path, store: ArtifactStore, mode: int) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    chunk_of(tmp_path / "store").chmod(mode)
    with pytest.raises(Corrupt, match="can be written by others"):
        store.verify(manifest.id)


@pytest.mark.root
def test_a_chunk_of_another_user_is_not_used(tmp_path: Path, tree: Path, store: ArtifactStore) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    os.chown(chunk_of(tmp_path / "store"), STRANGER, 0)
    with pytest.raises(Corrupt, match=f"belongs to user {STRANGER}"):
        store.verify(manifest.id)


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/passwd", path)], ids=str)
def test_what_is_planted_among_the_manifests_is_a_problem_and_can_be_removed(
    tmp_path: Path, tree: Path, store: ArtifactStore, plant: object
) -> None:
    manifest = store.add("snapshot", "m", tree, {}, {})
    name = "0" * 32
    assert callable(plant)
    plant(tmp_path / "store/manifests" / name)
    assert list(store.list()) == [manifest]
    assert [problem.name for problem in store.problems()] == [name]
    assert store.collect() == 0
    with store.reading(manifest.id) as reader:
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tree)


def test_a_planted_link_is_removed_and_not_what_it_leads_to(tmp_path: Path, store: ArtifactStore) -> None:
    (tmp_path / "precious").touch()
    for part in ("manifests", "writing", "chunks"):
        (tmp_path / "store" / part / "planted").symlink_to(tmp_path / "precious")
    store.remove("planted")
    store.collect()
    assert files_of(tmp_path / "store") == []
    assert (tmp_path / "precious").exists()


def test_the_key_must_be_private_and_the_own_one(tmp_path: Path, store: ArtifactStore) -> None:
    (tmp_path / "store/key.pem").chmod(0o666)
    with pytest.raises(Unsafe, match="written by others"):
        ArtifactStore(tmp_path / "store")
    (tmp_path / "store/key.pem").rename(tmp_path / "key")
    (tmp_path / "store/key.pem").symlink_to(tmp_path / "key")
    with pytest.raises(Unsafe, match="symbolic link"):
        ArtifactStore(tmp_path / "store")


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used") as raised:
        ArtifactStore(tmp_path / "file/store")
    assert "Traceback" not in str(raised.value)


def test_files_are_opened_by_name_in_the_open_folder_whatever_takes_its_place(tmp_path: Path) -> None:
    root = open_root(tmp_path / "root")
    inner = open_directory("inner", root, "inner")
    descriptor = os.open("file", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=inner)
    os.write(descriptor, b"ours")
    (tmp_path / "root/inner").rename(tmp_path / "moved")
    (tmp_path / "root/inner").mkdir()
    (tmp_path / "root/inner/file").write_bytes(b"theirs")
    assert read_file("file", inner, "file", 100) == b"ours"
    assert names_in(inner) == ["file"]
    with pytest.raises(Unsafe, match="beyond reason"):
        read_file("file", inner, "file", 3)
    for each in (root, inner, descriptor, open_file("file", inner, "file")):
        os.close(each)
