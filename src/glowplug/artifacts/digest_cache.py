"""Digests of files that were read before, kept in one small file that several processes share.

The file only saves work. What is missing, damaged, or could have been written by another user counts as not there.
"""

import fcntl
import logging
import os
import stat
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

log = logging.getLogger(__name__)

LARGEST = 20_000
"""Files that are remembered (about 3 MB). The ones that were added first are forgotten first."""

_NAME = "digests.json"
_Entry = tuple[int, int, int, str]


class Version(NamedTuple):
    """One state of one file's content, as far as the kernel tells without reading it.

    The change time is what an edit cannot hide: unlike the modification time no call sets it.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Version":
        """What `stat` says."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Key(NamedTuple):
    """Which digest of which file version."""

    algorithm: str
    version: Version


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    """Entries by device, inode and algorithm, so that a file that changes does not add to them."""

    version: int
    files: dict[str, _Entry]


_decoder = msgspec.json.Decoder(_Content)


class DigestCache:
    """Digests of file versions. Safe to use from several threads and processes at once."""

    def __init__(self, directory: Path) -> None:
        """`directory` is private to this user; it is made when something is first kept."""
        self._directory = directory
        self._file = directory / _NAME
        self._mutex = threading.Lock()
        self._read: Version | None = None
        self._entries: dict[str, _Entry] = {}

    def get(self, keys: Iterable[Key]) -> Mapping[Key, str]:
        """Those digests that are known."""
        with self._mutex:
            self._refresh()
            found = {key: self._entries.get(_name(key)) for key in keys}
        return {
            key: entry[3] for key, entry in found.items() if entry is not None and entry[:3] == _mutable(key.version)
        }

    def add(self, digests: Mapping[Key, str]) -> None:
        """Keep digests beside those that other processes keep. A failure is logged: it costs only time."""
        if not digests:
            return
        new = {_name(key): (*_mutable(key.version), digest) for key, digest in digests.items()}
        with self._mutex:
            try:
                self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                with self._alone():
                    self._refresh()
                    kept = {name: entry for name, entry in self._entries.items() if name not in new} | new
                    self._write(dict(list(kept.items())[-LARGEST:]))
            except OSError as error:
                log.warning(
                    "Digests cannot be kept in %s (%s); models are read anew each time", self._directory, error.strerror
                )

    def _alone(self) -> "_Lock":
        return _Lock(self._directory / f"{_NAME}.lock")

    def _refresh(self) -> None:
        try:
            descriptor = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._read, self._entries = None, {}
            return
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if (version := Version.of(found)) == self._read:
                return
            self._read, self._entries = version, {}
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                log.warning("%s is ignored: another user could have written it", self._file)
                return
            with suppress(OSError, msgspec.MsgspecError):
                content = _decoder.decode(file.read())
                self._entries = content.files if content.version == 1 else {}

    def _write(self, entries: dict[str, _Entry]) -> None:
        descriptor, name = tempfile.mkstemp(prefix=f"{_NAME}.", dir=self._directory)  # mode 0600
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(_Content(1, entries)))
            temporary.replace(self._file)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


class _Lock:
    """Holds a lock file while the block runs. The kernel gives it back when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _name(key: Key) -> str:
    return f"{key.algorithm}:{key.version.device}:{key.version.inode}"


def _mutable(version: Version) -> tuple[int, int, int]:
    return version.size, version.modified, version.changed
