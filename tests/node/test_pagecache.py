"""The page cache."""

import os

import pytest

from glowplug.node import pagecache

SIZE = 8 * 1024**2


@pytest.fixture
def weights(tmp_path):
    """A file that is written to disk and in memory; skips where the file system keeps everything in memory."""
    path = tmp_path / "weights"
    with path.open("wb") as file:
        file.write(os.urandom(SIZE))
        file.flush()
        os.fsync(file.fileno())
    if pagecache.cached_share(path) is None:
        pytest.skip("the kernel does not tell what is in the page cache here")
    return path


def test_a_file_just_written_is_in_memory_and_out_of_it_once_dropped(weights):
    assert pagecache.cached_share(weights) == 1.0
    pagecache.drop([weights])
    share = pagecache.cached_share(weights)
    if share == 1.0:
        pytest.skip("this file system keeps its files in memory")
    assert share == 0.0
    weights.read_bytes()
    assert pagecache.cached_share(weights) == 1.0


def test_a_file_larger_than_one_look_is_added_up(weights, monkeypatch):
    monkeypatch.setattr(pagecache, "_WINDOW", SIZE // 4)
    os.truncate(weights, SIZE - 5000)
    assert pagecache.cached_share(weights) == 1.0
    pagecache.drop([weights])
    if pagecache.cached_share(weights):
        pytest.skip("this file system keeps its files in memory")
    with weights.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no read-ahead
        file.read(SIZE // 2)
    assert pagecache.cached_share(weights) == pytest.approx(0.5, abs=0.01)


def test_dropping_touches_neither_content_nor_other_files(weights, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"x" * SIZE)
    content = weights.read_bytes()
    pagecache.drop([weights])
    assert pagecache.cached_share(other) == 1.0
    assert weights.read_bytes() == content


def test_missing_and_empty_files_have_no_share_and_cannot_be_dropped(tmp_path):
    (tmp_path / "empty").touch()
    assert pagecache.cached_share(tmp_path / "empty") is None
    assert pagecache.cached_share(tmp_path / "missing") is None
    pagecache.drop([tmp_path / "missing", tmp_path / "empty"])
