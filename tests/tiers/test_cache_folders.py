import os
import stat

import pytest

from glowplug.tiers.cache_folders import CacheFolders, fingerprint

KEY, OTHER, THIRD = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "state" / "caches"


@pytest.fixture
def folders(directory):
    return CacheFolders(directory)


def fill(folders, key, size=4096, used_at=None):
    folder = folders.make(key)
    (folder / "code.so").write_bytes(os.urandom(size))
    if used_at is not None:
        os.utime(folder, (used_at, used_at))
    return folder


def test_a_folder_is_made_once_and_only_its_user_may_look_into_it(folders, directory):
    assert not folders.exists(KEY)
    folder = fill(folders, KEY)
    assert folders.exists(KEY)
    assert folders.make(KEY) == folder
    assert (folder / "code.so").exists()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, folder)] == [0o700, 0o700]


def test_a_directory_that_others_could_read_is_closed(folders, directory):
    directory.mkdir(parents=True, mode=0o755)
    directory.chmod(0o755)
    folders.make(KEY)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_is_not_used(folders, directory, mode):
    fill(folders, KEY).chmod(mode)
    assert not folders.exists(KEY)
    assert os.listdir(directory) == [f"{KEY}.bad"]


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_link_in_the_place_of_a_folder_is_not_followed(folders, directory, tmp_path, target):
    (tmp_path / "elsewhere").mkdir()
    directory.mkdir(parents=True)
    (directory / KEY).symlink_to(tmp_path / target)
    assert not folders.exists(KEY)
    assert not folders.make(KEY).is_symlink()
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_file_in_the_place_of_a_folder_is_moved_aside(folders, directory):
    directory.mkdir(parents=True)
    (directory / KEY).write_text("?")
    assert not folders.exists(KEY)
    assert folders.make(KEY).is_dir()


def test_the_directory_of_somebody_else_is_not_used(folders, directory, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    directory.parent.mkdir(parents=True)
    directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="is not a directory of this user"):
        folders.make(KEY)


def test_only_what_is_filled_to_its_end_becomes_the_folder(folders, directory):
    place = folders.place_for_new(KEY)
    (place / "half").touch()
    assert not folders.exists(KEY)
    assert os.listdir(folders.place_for_new(KEY)) == []  # what a killed server had begun
    (place / "whole").touch()
    folders.take(KEY)
    assert os.listdir(folders.path(KEY)) == ["whole"]
    folders.drop_new(KEY)
    assert os.listdir(directory) == [KEY]


def test_what_is_set_aside_is_kept_once(folders, directory):
    for content in ("first", "second"):
        (folders.make(KEY) / content).touch()
        folders.set_aside(KEY)
    assert os.listdir(directory) == [f"{KEY}.bad"]
    assert os.listdir(directory / f"{KEY}.bad") == ["second"]


def test_the_longest_unused_folders_are_deleted_first(folders, directory):
    for key, used_at in ((KEY, 2000), (OTHER, 1000), (THIRD, 3000)):
        fill(folders, key, size=100_000, used_at=used_at)
    assert folders.trim(1_000_000, keep=()) > 300_000
    assert len(os.listdir(directory)) == 3
    assert folders.trim(250_000, keep=()) < 250_000
    assert sorted(os.listdir(directory)) == [KEY, THIRD]
    folders.used(KEY)
    assert folders.trim(150_000, keep=()) < 150_000
    assert os.listdir(directory) == [KEY]


def test_what_is_in_use_stays_whatever_it_takes(folders, directory):
    fill(folders, KEY, size=100_000, used_at=1000)
    fill(folders, OTHER, size=100_000, used_at=2000)
    assert folders.trim(0, keep={KEY}) > 100_000
    assert os.listdir(directory) == [KEY]


def test_what_was_set_aside_or_half_filled_is_deleted_before_any_folder(folders, directory):
    fill(folders, KEY, size=100_000, used_at=1000)
    fill(folders, OTHER, size=100_000, used_at=2000)
    folders.set_aside(OTHER)
    (folders.place_for_new(THIRD) / "half").write_bytes(bytes(100_000))
    folders.trim(150_000, keep=())
    assert os.listdir(directory) == [KEY]


def test_a_fingerprint_changes_with_names_sizes_and_times(tmp_path):
    assert fingerprint(tmp_path) is None
    file = tmp_path / "deep" / "code.so"
    file.parent.mkdir()
    assert fingerprint(tmp_path) is None
    file.write_bytes(b"code")
    seen = [fingerprint(tmp_path)]
    os.utime(file, ns=(1, 1))
    seen.append(fingerprint(tmp_path))
    file.write_bytes(b"longer code")
    os.utime(file, ns=(1, 1))
    seen.append(fingerprint(tmp_path))
    file.rename(tmp_path / "code.so")
    seen.append(fingerprint(tmp_path))
    (tmp_path / "more").write_bytes(b"x")
    seen.append(fingerprint(tmp_path))
    assert len(set(seen)) == 5
    assert None not in seen


def test_locks_and_times_of_folders_do_not_change_a_fingerprint(tmp_path):
    (tmp_path / "code.so").write_bytes(b"code")
    before = fingerprint(tmp_path)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "code.lock").touch()
    os.utime(tmp_path, (5, 5))
    assert fingerprint(tmp_path) == before


def test_names_that_are_no_text_are_counted(tmp_path):
    (tmp_path / os.fsdecode(b"\xff\xfe.so")).write_bytes(b"code")
    assert fingerprint(tmp_path) is not None
