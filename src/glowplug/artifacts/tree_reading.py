"""Reading a file tree: its entries, and its contents as chunks, in parallel."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from glowplug.artifacts.chunk_codec import Scratch, digest_of
from glowplug.artifacts.chunking import CHUNK, pieces
from glowplug.artifacts.errors import StoreError
from glowplug.artifacts.manifest import MODES, Chunk, Entry
from glowplug.artifacts.parallel import for_each
from glowplug.artifacts.private_files import DIRECTORY
from glowplug.artifacts.tree_paths import fault_of_target
from glowplug.artifacts.writer import Writer

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Piece(NamedTuple):
    path: str
    offset: int
    length: int


def store_tree(source: Path, writer: Writer, level: int | None, threads: int, niceness: int) -> list[Entry]:
    """Give the contents of a tree to a writer; the entries, directories before what is in them.

    The tree must not change meanwhile. `level` is zstd's, None not to compress. Raises StoreError, OSError.
    """
    root = os.open(source, DIRECTORY & ~os.O_NOFOLLOW)
    try:
        entries = sorted(_walk(root, "", source), key=lambda entry: entry.path.split("/"))
        files = {entry.path: entry for entry in entries if entry.kind == "file"}
        chunks: dict[str, list[Chunk]] = {path: [] for path in files}

        def store(scratch: Scratch, piece: _Piece) -> None:
            _read(root, piece, files[piece.path], scratch.raw, source)
            digest = digest_of(scratch.raw[: piece.length])
            if digest == _ZEROS.of(piece.length):
                return
            chunk = Chunk(piece.offset, piece.length, digest)
            if writer.wants(chunk, scratch):
                writer.write(digest, scratch.packed(piece.length))
            chunks[piece.path].append(chunk)

        for_each(_pieces(root, files), store, lambda: Scratch(level), threads, niceness)
        return [_with_chunks(entry, chunks.get(entry.path, [])) for entry in entries]
    finally:
        os.close(root)


class _ZeroDigests:
    """Digests of zeros by their number: a chunk of zeros is known by its digest, which is at hand anyway."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        self._zeros = bytes(CHUNK)

    def of(self, length: int) -> str:
        if length not in self._known:
            self._known[length] = digest_of(memoryview(self._zeros)[:length])
        return self._known[length]


_ZEROS = _ZeroDigests()


def _walk(folder: int, prefix: str, source: Path) -> Iterator[Entry]:
    with os.scandir(folder) as found:
        names = [each.name for each in found]
    for name in names:
        path = prefix + name
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
        mode = state.st_mode & MODES
        if stat.S_ISDIR(state.st_mode):
            yield Entry(path, "directory", mode, state.st_mtime_ns)
            below = os.open(name, DIRECTORY, dir_fd=folder)
            try:
                yield from _walk(below, f"{path}/", source)
            finally:
                os.close(below)
        elif stat.S_ISREG(state.st_mode):
            yield Entry(path, "file", mode, state.st_mtime_ns, state.st_size)
        elif stat.S_ISLNK(state.st_mode):
            target = os.readlink(name, dir_fd=folder)
            if fault := fault_of_target(path, target):
                raise StoreError(f"The link {source / path} to {target} cannot be stored, since it {fault}; remove it.")
            yield Entry(path, "symlink", 0o777, state.st_mtime_ns, target=target)
        else:
            raise StoreError(
                f"{source / path} is neither a file, a directory nor a link and cannot be stored; remove it."
            )


def _pieces(root: int, files: dict[str, Entry]) -> Iterator[_Piece]:
    for entry in files.values():
        if entry.size:
            descriptor = os.open(entry.path, _READ, dir_fd=root)
            try:
                for offset, length in pieces(descriptor, entry.size):
                    yield _Piece(entry.path, offset, length)
            finally:
                os.close(descriptor)


def _read(root: int, piece: _Piece, entry: Entry, into: memoryview, source: Path) -> None:
    descriptor = os.open(piece.path, _READ, dir_fd=root)
    try:
        done = 0
        while done < piece.length and (
            count := os.preadv(descriptor, [into[done : piece.length]], piece.offset + done)
        ):
            done += count
        now = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if done < piece.length or (now.st_size, now.st_mtime_ns) != (entry.size, entry.mtime_ns):
        raise StoreError(
            f"{source / piece.path} changed while it was being stored; store it when nothing writes to it."
        )


def _with_chunks(entry: Entry, chunks: list[Chunk]) -> Entry:
    ordered = tuple(sorted(chunks, key=lambda chunk: chunk.offset))
    return Entry(entry.path, entry.kind, entry.mode, entry.mtime_ns, entry.size, ordered, entry.target)
