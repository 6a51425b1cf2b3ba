"""An artifact as one file: its signed manifest, then its chunks as they are kept, each once.

    glowplug-artifact-1\\n
    the length of the manifest file, 8 bytes, little-endian; the manifest file
    the length of each chunk in the order in which the manifest names them first, 4 bytes each, little-endian
    the chunks

There are no names in it but those of the signed manifest, so nothing in such a file says where anything is written.
"""

import errno
import os
import stat
import struct
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from glowplug.artifacts.chunk_codec import Scratch
from glowplug.artifacts.chunk_files import ChunkFiles
from glowplug.artifacts.errors import Corrupt, StoreError, StoreFull
from glowplug.artifacts.manifest import MAX_MANIFEST, Chunk, Manifest
from glowplug.artifacts.parallel import cpus, for_each
from glowplug.artifacts.private_files import write_all

_MAGIC = b"glowplug-artifact-1\n"
_HEAD = struct.Struct(f"<{len(_MAGIC)}sQ")
_LENGTH = struct.Struct("<I")


class _Place(NamedTuple):
    chunk: Chunk
    offset: int
    size: int


def write_archive(file: Path, contents: bytes, manifest: Manifest, chunks: ChunkFiles) -> None:
    """Write an artifact, whose signed manifest is `contents`, to a file (0600), whole or not at all.

    Every chunk is checked. Raises Corrupt, StoreError.
    """
    needed = manifest.distinct_chunks()
    start = _HEAD.size + len(contents) + _LENGTH.size * len(needed)
    try:
        with _replacing(file) as descriptor:
            sizes = [chunks.size(chunk) for chunk in needed]
            write_all(descriptor, _HEAD.pack(_MAGIC, len(contents)) + contents + b"".join(map(_LENGTH.pack, sizes)))

            def copy(scratch: Scratch, place: _Place) -> None:
                stored = chunks.stored(place.chunk, scratch)
                if len(stored) != place.size:
                    raise StoreError("A chunk of the artifact was replaced while it was exported; export it again.")
                _write_at(descriptor, stored, place.offset)

            for_each(_places(needed, sizes, start), copy, Scratch, cpus())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"There is no room for {file}; free some, or export to another disk.") from error
        raise StoreError(f"{file} cannot be written ({error.strerror}); export to another place.") from error


class Archive:
    """An exported artifact that is being read; a context manager. What it holds must still be checked."""

    def __init__(self, file: Path) -> None:
        """Open the file. Raises StoreError: it cannot be read, or is no such file."""
        self._shown = str(file)
        self._places: Mapping[str, _Place] = {}
        try:
            self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise StoreError(f"{file} cannot be read ({error.strerror}).") from error
        try:
            self.contents = self._manifest_file()
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def locate(self, manifest: Manifest) -> None:
        """Find the chunks of the manifest, which has been checked. Raises Corrupt."""
        needed = manifest.distinct_chunks()
        start = _HEAD.size + len(self.contents)
        table = self._read(start, _LENGTH.size * len(needed))
        sizes = [size for (size,) in _LENGTH.iter_unpack(table)]
        start += len(table)
        if any(not 0 < size <= chunk.length for chunk, size in zip(needed, sizes, strict=True)):
            raise Corrupt(f"{self._shown} names chunks of impossible sizes; get it again.")
        if self._size != start + sum(sizes):
            raise Corrupt(f"{self._shown} has {self._size} bytes and should have {start + sum(sizes)}; get it again.")
        self._places = {place.chunk.digest: place for place in _places(needed, sizes, start)}

    def fetch(self, chunk: Chunk, into: memoryview) -> int:
        """Read the kept form of a chunk; its size. Raises Corrupt."""
        place = self._places[chunk.digest]
        into[: place.size] = self._read(place.offset, place.size)
        return place.size

    def _manifest_file(self) -> bytes:
        state = os.fstat(self._descriptor)
        self._size = state.st_size
        head = (
            self._read(0, _HEAD.size) if stat.S_ISREG(state.st_mode) and self._size >= _HEAD.size else bytes(_HEAD.size)
        )
        magic, length = _HEAD.unpack(head)
        if magic != _MAGIC:
            raise StoreError(f"{self._shown} is no exported artifact.")
        if length > min(MAX_MANIFEST, self._size):
            raise Corrupt(f"{self._shown} is cut off or damaged; get it again.")
        return self._read(_HEAD.size, length)

    def _read(self, offset: int, length: int) -> bytes:
        try:
            data = os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise Corrupt(f"{self._shown} cannot be read ({error.strerror}).") from error
        if len(data) != length:
            raise Corrupt(f"{self._shown} is cut off; get it again.")
        return data


def _places(chunks: list[Chunk], sizes: list[int], start: int) -> Generator[_Place]:
    for chunk, size in zip(chunks, sizes, strict=True):
        yield _Place(chunk, start, size)
        start += size


@contextmanager
def _replacing(file: Path) -> Generator[int]:
    """A descriptor of a new file beside `file` that takes its place when the block ends well."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
    try:
        yield descriptor
        os.fsync(descriptor)
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    finally:
        os.close(descriptor)


def _write_at(descriptor: int, data: memoryview, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], offset + done)
