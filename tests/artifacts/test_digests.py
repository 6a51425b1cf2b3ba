import hashlib
import json
import multiprocessing
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from glowplug.artifacts import digest_cache
from glowplug.artifacts.digests import SETTLED, DigestError, Digests
from tests.artifacts.changes import change_in_place


def later() -> int:
    """A clock by which every file has been as it is for long."""
    return time.time_ns() + 10 * SETTLED


def settled(folder: Path) -> Digests:
    return Digests(folder, later)


def of(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened to be read, in order."""
    opened: list[str] = []
    really: Callable[..., object] = Path.open

    def open_and_note(path: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        if mode == "rb":
            opened.append(path.name)
        return really(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_and_note)
    return opened


def test_a_digest_is_over_the_whole_content(tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20 + 7)
    (tmp_path / "model").write_bytes(content)
    assert settled(tmp_path / "state").file_digest(tmp_path / "model") == of(content)


def test_a_file_is_read_once_by_all_processes_together(tmp_path: Path, reads: list[str]) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    first = settled(tmp_path / "state").file_digest(tmp_path / "model")
    assert reads == ["model"]
    assert settled(tmp_path / "state").file_digest(tmp_path / "model") == first
    assert reads == ["model"]


def test_a_change_in_place_is_seen_although_size_and_modification_time_are_put_back(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"weights")
    digests = settled(tmp_path / "state")
    assert digests.file_digest(model) == of(b"weights")
    change_in_place(model, b"Weights")
    assert digests.file_digest(model) == of(b"Weights")


def test_a_file_that_another_one_replaced_is_read(tmp_path: Path) -> None:
    model, other = tmp_path / "model", tmp_path / "other"
    model.write_bytes(b"weights")
    other.write_bytes(b"changed")
    digests = settled(tmp_path / "state")
    assert digests.file_digest(model) == of(b"weights")
    os.utime(other, ns=(0, model.stat().st_mtime_ns))
    other.replace(model)
    assert digests.file_digest(model) == of(b"changed")


def test_a_digest_of_a_file_that_changed_just_now_is_not_kept(tmp_path: Path, reads: list[str]) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"weights")
    digests = Digests(tmp_path / "state", lambda: model.stat().st_ctime_ns + SETTLED)
    for _ in range(2):
        assert digests.file_digest(model) == of(b"weights")
    assert reads == ["model", "model"]


def test_a_file_that_grows_while_it_is_read_has_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"weights")
    really = os.fstat

    def fstat_and_append(descriptor: int) -> os.stat_result:
        found = really(descriptor)
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(model):
            with open(model, "ab") as file:
                file.write(b"!")
        return found

    monkeypatch.setattr(os, "fstat", fstat_and_append)
    with pytest.raises(DigestError, match="was changed while it was read"):
        settled(tmp_path / "state").file_digest(model)


def test_several_files_at_once(tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(20)]
    for file in files:
        file.write_bytes(file.name.encode())
    digests = settled(tmp_path / "state")
    expected = {file: of(file.name.encode()) for file in files}
    assert digests.file_digests(files) == expected
    files[7].write_bytes(b"other")
    assert digests.file_digests(files) == {**expected, files[7]: of(b"other")}


def test_the_digest_of_a_tree_is_over_names_and_contents(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    digests = settled(tmp_path / "state")
    a, b, c = (tmp_path / name for name in ("a", "b", "c"))
    whole = digests.tree_digest({"x": a, "y": b})
    assert digests.tree_digest({"y": b, "x": a}) == whole
    others = [{"x": a}, {"x": b, "y": a}, {"x": a, "y": c}, {"x": a, "z": b}, {"x": a, "y": b, "z": c}]
    assert len({whole, *map(digests.tree_digest, others)}) == 6


def test_a_missing_file_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(DigestError, match=r"model cannot be read \(No such file or directory\)"):
        settled(tmp_path / "state").file_digest(tmp_path / "model")


def hub_file(folder: Path, content: bytes, name: str | None = None) -> Path:
    """A file as huggingface_hub leaves it in its cache."""
    blobs, snapshot = folder / "blobs", folder / "snapshots" / "0123"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (blobs / (name or hashlib.sha256(content).hexdigest())).write_bytes(content)
    (snapshot / "model.safetensors").symlink_to(Path("../../blobs") / (name or hashlib.sha256(content).hexdigest()))
    return snapshot / "model.safetensors"


def test_the_name_of_a_hugging_face_blob_is_its_digest_and_checked_once(tmp_path: Path, reads: list[str]) -> None:
    file = hub_file(tmp_path, b"weights")
    digests = settled(tmp_path / "state")
    for _ in range(2):
        assert digests.file_digest(file) == f"sha256:{hashlib.sha256(b'weights').hexdigest()}"
    assert reads.count("model.safetensors") == 1


def test_a_hugging_face_blob_with_other_content_than_its_name_is_refused_every_time(tmp_path: Path) -> None:
    file = hub_file(tmp_path, b"weights")
    digests = settled(tmp_path / "state")
    digests.file_digest(file)
    file.write_bytes(b"other weights")
    for _ in range(2):
        with pytest.raises(DigestError, match="download the model again"):
            digests.file_digest(file)


def test_a_small_file_of_the_hugging_face_cache_is_named_otherwise(tmp_path: Path) -> None:
    file = hub_file(tmp_path, b"{}", hashlib.sha1(b"{}").hexdigest())
    assert settled(tmp_path / "state").file_digest(file) == of(b"{}")


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"[]", b'{"version": 1}', b'{"version": 2, "files": {}}'])
def test_a_damaged_file_of_digests_is_written_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    state = tmp_path / "state"
    state.mkdir()
    (state / "digests.json").write_bytes(content)
    assert settled(state).file_digest(tmp_path / "model") == of(b"weights")
    assert len(json.loads((state / "digests.json").read_bytes())["files"]) == 1


def falsified(tmp_path: Path) -> Path:
    """A file of digests that tells a lie about `model`."""
    (tmp_path / "model").write_bytes(b"weights")
    settled(tmp_path / "state").file_digest(tmp_path / "model")
    file = tmp_path / "state" / "digests.json"
    file.write_bytes(file.read_bytes().replace(blake3(b"weights").hexdigest().encode(), b"0" * 64))
    return file


def test_what_others_could_have_written_is_not_believed(tmp_path: Path) -> None:
    file = falsified(tmp_path)
    assert settled(tmp_path / "state").file_digest(tmp_path / "model") == f"blake3:{'0' * 64}"
    file.chmod(0o620)
    assert settled(tmp_path / "state").file_digest(tmp_path / "model") == of(b"weights")


def test_a_link_in_place_of_the_file_of_digests_is_not_followed(tmp_path: Path) -> None:
    file = falsified(tmp_path)
    planted = shutil.move(file, tmp_path / "planted")
    file.symlink_to(planted)
    content = Path(planted).read_bytes()
    assert settled(tmp_path / "state").file_digest(tmp_path / "model") == of(b"weights")
    assert Path(planted).read_bytes() == content
    assert not file.is_symlink()


def test_the_file_of_digests_is_private(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    settled(tmp_path / "state").file_digest(tmp_path / "model")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "state").iterdir()} == {0o600}


def test_without_a_place_to_keep_them_digests_are_still_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    (tmp_path / "state").write_text("a file where a directory should be")
    assert settled(tmp_path / "state").file_digest(tmp_path / "model") == of(b"weights")
    assert "Digests cannot be kept" in caplog.text


def test_only_so_many_files_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]) -> None:
    monkeypatch.setattr(digest_cache, "LARGEST", 2)
    digests = settled(tmp_path / "state")
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
        digests.file_digest(tmp_path / name)
    digests.file_digests([tmp_path / "b", tmp_path / "c"])
    assert reads == ["a", "b", "c"]
    digests.file_digest(tmp_path / "a")
    assert reads == ["a", "b", "c", "a"]


def digest_each(folder: Path, files: list[Path]) -> None:
    digests = settled(folder)
    for file in files:
        digests.file_digest(file)


def test_processes_that_write_at_the_same_time_lose_nothing(tmp_path: Path, reads: list[str]) -> None:
    files = [tmp_path / str(number) for number in range(60)]
    for file in files:
        file.write_text(file.name)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=digest_each, args=(tmp_path / "state", files[part::3])) for part in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    reads.clear()
    settled(tmp_path / "state").file_digests(files)
    assert reads == []
