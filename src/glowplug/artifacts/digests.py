"""Digests over the full contents of files, each of which is read once and not again until it changes.

A file is hashed with BLAKE3, several files at a time. The Hugging Face cache names large files after their SHA-256; of
such a file that name is the digest, after it was found true once.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from blake3 import blake3

from glowplug.artifacts.digest_cache import DigestCache, Key, Version

SETTLED = 2_000_000_000
"""Nanoseconds after a change before a digest is kept. A clock of a file system may be as coarse as 2 s (FAT), so two
changes within that time can look like one, and a digest taken between them would count for both."""

_BUFFER = 1024 * 1024
"""Bytes read at once: measured, 6.5 GB/s with BLAKE3 on one core, no faster with 4 or 16 times as much."""

_NICENESS = 10
"""Of the threads that hash, so that a server that is answering requests comes first."""

_BLOB = re.compile(r"[0-9a-f]{64}")
"""Of `blobs/` in the Hugging Face cache: LFS files by their SHA-256. Small ones have a name of 40 (git's SHA-1)."""


class DigestError(Exception):
    """A file has no digest. The text is one sentence for the user."""


class _Hash(Protocol):
    def update(self, data: memoryview, /) -> object: ...
    def hexdigest(self) -> str: ...


class Digests:
    """Digests of files, as an algorithm and a hexadecimal number: `blake3:…` or `sha256:…`. Blocking; thread-safe."""

    def __init__(self, directory: Path, now: Callable[[], int] = time.time_ns) -> None:
        """`directory` is where digests are kept; `now` is the clock of file times, in nanoseconds."""
        self._cache = DigestCache(directory)
        self._now = now

    def file_digest(self, path: Path) -> str:
        """The digest of one file. Raises DigestError."""
        return self.file_digests([path])[path]

    def file_digests(self, paths: Iterable[Path]) -> Mapping[Path, str]:
        """The digests of several files; those that must be read are read in parallel. Raises DigestError."""
        blobs = {path: _blob_name(path) for path in paths}
        keys = {path: Key("blake3" if blob is None else "sha256", _version(path)) for path, blob in blobs.items()}
        known = self._cache.get(keys.values())
        digests = {path: f"{key.algorithm}:{known[key]}" for path, key in keys.items() if key in known}
        if unknown := [(path, key.algorithm) for path, key in keys.items() if key not in known]:
            digests |= self._read(unknown)
        for path, blob in blobs.items():
            if blob is not None and digests[path] != f"sha256:{blob}":
                raise DigestError(
                    f"{path} is not what the Hugging Face cache names it after: it is damaged, or was changed in "
                    "place; delete it and download the model again."
                )
        return digests

    def tree_digest(self, files: Mapping[str, Path]) -> str:
        """One digest over the names and contents of files, given by name. Raises DigestError."""
        digests = self.file_digests(files.values())
        whole = blake3()
        for name in sorted(files):
            whole.update(f"{digests[files[name]]} {len(os.fsencode(name))} ".encode() + os.fsencode(name) + b"\n")
        return f"blake3:{whole.hexdigest()}"

    def _read(self, files: Sequence[tuple[Path, str]]) -> dict[Path, str]:
        began = self._now()
        with ThreadPoolExecutor(min(len(files), os.cpu_count() or 1), "digest", _yield_to_others) as pool:
            found = list(pool.map(_hash, files))
        self._cache.add({key: digest for key, digest in found if key.version.changed < began - SETTLED})
        return {path: f"{key.algorithm}:{digest}" for (path, _), (key, digest) in zip(files, found, strict=True)}


def _hash(file: tuple[Path, str]) -> tuple[Key, str]:
    path, algorithm = file
    whole: _Hash = blake3() if algorithm == "blake3" else hashlib.sha256()
    buffer = memoryview(bytearray(_BUFFER))
    try:
        with path.open("rb", buffering=0) as content:
            before = Version.of(os.fstat(content.fileno()))
            while count := content.readinto(buffer):
                whole.update(buffer[:count])
            after = Version.of(os.fstat(content.fileno()))
    except OSError as error:
        raise _unreadable(path, error) from error
    if before != after:
        raise DigestError(f"{path} was changed while it was read; try again when nothing writes to it.")
    return Key(algorithm, before), whole.hexdigest()


def _version(path: Path) -> Version:
    try:
        return Version.of(path.stat())
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DigestError:
    return DigestError(f"{path} cannot be read ({error.strerror}); put the file back, or correct its permissions.")


def _blob_name(path: Path) -> str | None:
    """The SHA-256 that the Hugging Face cache names the file by; the cache's own paths are links to such files."""
    try:
        target = path.parent / path.readlink() if path.is_symlink() else path
    except OSError as error:
        raise _unreadable(path, error) from error
    return target.name if target.parent.name == "blobs" and _BLOB.fullmatch(target.name) else None


def _yield_to_others() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)  # of this thread alone: Linux counts each as a process here
