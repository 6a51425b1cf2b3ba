"""Writing the files of an artifact: every chunk read once, unpacked, checked and written, in parallel."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from glowplug.artifacts.chunk_codec import Scratch
from glowplug.artifacts.chunk_files import ChunkFiles
from glowplug.artifacts.errors import Corrupt, StoreError, StoreFull
from glowplug.artifacts.manifest import Chunk, Entry, Manifest
from glowplug.artifacts.parallel import cpus, for_each
from glowplug.artifacts.private_files import CREATE, names_in, open_root

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all, from several threads, one call at a time."""

_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Piece(NamedTuple):
    path: str
    chunk: Chunk


class Reader:
    """A published artifact that nobody removes meanwhile."""

    def __init__(self, manifest: Manifest, chunks: ChunkFiles) -> None:
        self.manifest = manifest
        self._chunks = chunks

    def materialise(self, target: Path, *, progress: Progress | None = None) -> None:
        """Write the files below `target`, an empty directory or a path where one can be made; it becomes private.

        Holes stay holes; modes and times are as they were. After an error `target` is empty. Raises Corrupt, which
        names file and chunk, and StoreError.
        """
        try:
            self._materialise(target, progress)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                size = self.manifest.raw_bytes
                raise StoreFull(f"{target} has no room for the {size} bytes of the artifact; free some.") from error
            raise StoreError(f"The artifact {self.manifest.id} cannot be written to {target}: {error}.") from error

    def verify(self) -> None:
        """Read and check every chunk, each once. Raises Corrupt, StoreError."""
        once = {piece.chunk.digest: piece for piece in self._pieces()}

        def read(scratch: Scratch, piece: _Piece) -> None:
            self._read(piece, scratch)

        for_each(once.values(), read, Scratch, _threads())

    def _materialise(self, target: Path, progress: Progress | None) -> None:
        root = open_root(target)
        try:
            if names_in(root):
                raise StoreError(f"{target} is not empty; an artifact is written into an empty directory.")
            try:
                self._write(root, progress)
            except BaseException:
                _clear(root, self.manifest)
                raise
        finally:
            os.close(root)

    def _write(self, root: int, progress: Progress | None) -> None:
        entries = self.manifest.entries
        for entry in entries:
            _make(root, entry)
        done, total, mutex = 0, self.manifest.raw_bytes, threading.Lock()

        def write(scratch: Scratch, piece: _Piece) -> None:
            nonlocal done
            contents = self._read(piece, scratch)
            _write_at(root, piece, contents)
            if progress is not None:
                with mutex:
                    done += piece.chunk.length
                    progress(done, total)

        for_each(self._pieces(), write, Scratch, _threads())
        for entry in reversed(entries):  # a directory after what is in it, which changes its time
            _finish(root, entry)

    def _pieces(self) -> Iterator[_Piece]:
        for entry in self.manifest.entries:
            for chunk in entry.chunks:
                yield _Piece(entry.path, chunk)

    def _read(self, piece: _Piece, scratch: Scratch) -> memoryview:
        try:
            return self._chunks.read(piece.chunk, scratch)
        except Corrupt as error:
            raise Corrupt(
                f"The artifact {self.manifest.id} is damaged and must be made anew: in the file {piece.path} at byte "
                f"{piece.chunk.offset}, {error}."
            ) from error
        except OSError as error:
            raise StoreError(f"The artifact {self.manifest.id} cannot be read: {error}.") from error


def _threads() -> int:
    """One for each CPU, and two that wait for the disk meanwhile: the best of 2 to 8 on 2 CPUs with a cold disk."""
    return cpus() + 2


def _make(root: int, entry: Entry) -> None:
    if entry.kind == "directory":
        os.mkdir(entry.path, 0o700, dir_fd=root)
    elif entry.target is not None:
        os.symlink(entry.target, entry.path, dir_fd=root)
    else:
        descriptor = os.open(entry.path, CREATE, 0o600, dir_fd=root)
        try:
            os.ftruncate(descriptor, entry.size)
        finally:
            os.close(descriptor)


def _write_at(root: int, piece: _Piece, contents: memoryview) -> None:
    descriptor = os.open(piece.path, _WRITE, dir_fd=root)
    try:
        done = 0
        while done < len(contents):
            done += os.pwrite(descriptor, contents[done:], piece.chunk.offset + done)
    finally:
        os.close(descriptor)


def _finish(root: int, entry: Entry) -> None:
    if entry.kind != "symlink":
        os.chmod(entry.path, entry.mode, dir_fd=root)
    os.utime(entry.path, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=root, follow_symlinks=False)


def _clear(root: int, manifest: Manifest) -> None:
    for entry in reversed(manifest.entries):
        with suppress(OSError):
            if entry.kind == "directory":
                os.rmdir(entry.path, dir_fd=root)
            else:
                os.unlink(entry.path, dir_fd=root)
