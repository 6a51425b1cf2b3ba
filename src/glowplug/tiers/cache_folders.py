"""Folders of compiled code on the local disk, one for each key, private to this user.

Engines execute what lies in them. So a folder that somebody else could have written to is never used; and one that made
an engine fail is moved aside, where it can be looked at until the space is needed.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_BAD = ".bad"
_NEW = ".new"


class CacheFolders:
    """The folders below one directory. Blocking. Methods raise OSError unless they say otherwise."""

    def __init__(self, directory: Path) -> None:
        """`directory` is made when the first folder is."""
        self._directory = directory

    def path(self, key: str) -> Path:
        """Where the folder of a key is, if it is there."""
        return self._directory / key

    def exists(self, key: str) -> bool:
        """Whether it is there, and nobody else could have written to it. What is in its place is moved aside."""
        path = self.path(key)
        try:
            found = path.lstat()
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022:
            return True
        self.set_aside(key)
        return False

    def make(self, key: str) -> Path:
        """The folder, made if it is missing."""
        self._make_directory()
        path = self.path(key)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        return path

    def place_for_new(self, key: str) -> Path:
        """An empty place to fill, which becomes the folder by `take`."""
        self._make_directory()
        path = self._directory / f"{key}{_NEW}"
        _remove(path)
        path.mkdir(mode=0o700)
        return path

    def take(self, key: str) -> None:
        """Make what was filled at `place_for_new` the folder."""
        (self._directory / f"{key}{_NEW}").rename(self.path(key))

    def drop_new(self, key: str) -> None:
        """Delete what is at `place_for_new`."""
        _remove(self._directory / f"{key}{_NEW}")

    def set_aside(self, key: str) -> None:
        """Move the folder to where no engine looks. What was there before is deleted."""
        bad = self._directory / f"{key}{_BAD}"
        _remove(bad)
        self.path(key).rename(bad)

    def used(self, key: str) -> None:
        """The folder is in use now: of all folders it is the last to be deleted."""
        os.utime(self.path(key))

    def trim(self, quota: int, keep: Collection[str]) -> int:
        """Delete folders, the longest unused first, until the rest takes at most `quota` bytes. Bytes that it takes.

        Those in `keep` stay, whatever they take. What was set aside, or not filled to its end, goes first.
        """
        folders = [path for path in self._directory.iterdir() if path.name not in keep]
        folders.sort(key=lambda path: (path.suffix not in (_BAD, _NEW), path.lstat().st_mtime))
        sizes = {path: _size(path) for path in self._directory.iterdir()}
        total = sum(sizes.values())
        for path in folders:
            if total <= quota:
                break
            _remove(path)
            total -= sizes[path]
        return total

    def _make_directory(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = self._directory.lstat()
        if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
            raise PermissionError(f"{self._directory} is not a directory of this user")
        if found.st_mode & 0o077:
            self._directory.chmod(0o700)


def fingerprint(folder: Path) -> str | None:
    """Changes when a file in the folder does; None if there is none. By names, sizes and times, not by contents.

    Empty files do not count: engines leave locks, whose times change whenever they are taken.
    """
    whole = hashlib.sha256()
    empty = True
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(root) / name
            try:
                found = path.lstat()
            except FileNotFoundError:  # a temporary file of an engine
                continue
            if stat.S_ISREG(found.st_mode) and found.st_size:
                whole.update(
                    f"{path.relative_to(folder)}\0{found.st_size} {found.st_mtime_ns}\n".encode(
                        "utf-8", "surrogateescape"
                    )
                )
                empty = False
    return None if empty else whole.hexdigest()


def _size(path: Path) -> int:
    total = path.lstat().st_blocks * 512
    for root, folders, files in os.walk(path):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                total += (Path(root) / name).lstat().st_blocks * 512
    return total


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
