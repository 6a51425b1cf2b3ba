"""The chunks of a store: files named by the digest of what they hold."""

import errno
import os
from contextlib import suppress

from glowplug.artifacts.chunk_codec import Scratch
from glowplug.artifacts.errors import Corrupt, Unsafe
from glowplug.artifacts.layout import Layout
from glowplug.artifacts.manifest import Chunk
from glowplug.artifacts.private_files import names_in, open_file, remove


class ChunkFiles:
    """Reads chunks; what is read is what was written, or an error."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def read(self, chunk: Chunk, scratch: Scratch) -> memoryview:
        """The checked contents of a chunk, valid until `scratch` is used again. Raises Corrupt, OSError.

        A file that does not hold what its name says is taken away, so that no later artifact is built on it.
        """
        try:
            return read_chunk(chunk, scratch, self._layout.chunks, self._layout.shown("chunks", chunk.digest))
        except Corrupt:
            self.discard(chunk, scratch)
            raise

    def stored(self, chunk: Chunk, scratch: Scratch) -> memoryview:
        """A chunk as it is kept, checked, valid until `scratch` is used again. Raises Corrupt, OSError."""
        size = _load(chunk, scratch, self._layout.chunks, self._layout.shown("chunks", chunk.digest))
        if scratch.unpacked(size, chunk.length, chunk.digest) is None:
            self.discard(chunk, scratch)
            raise Corrupt(f"The chunk {chunk.digest} is damaged; the artifact must be made anew.")
        return scratch.stored[:size]

    def size(self, chunk: Chunk) -> int:
        """Bytes that a chunk takes. Raises Corrupt, OSError."""
        try:
            return os.stat(chunk.digest, dir_fd=self._layout.chunks, follow_symlinks=False).st_size
        except FileNotFoundError:
            raise Corrupt(f"the chunk {chunk.digest} is missing") from None

    def discard(self, chunk: Chunk, scratch: Scratch) -> None:
        """Remove a chunk that is not good. Raises OSError."""
        with self._layout.lock():  # a good one may have come in its place since; so look again
            try:
                read_chunk(chunk, scratch, self._layout.chunks, "")
            except Corrupt:
                remove(chunk.digest, self._layout.chunks)

    def used(self) -> int:
        """Bytes that all chunks take. Raises OSError."""
        folder = self._layout.chunks
        sizes = 0
        for name in names_in(folder):
            with suppress(FileNotFoundError):  # collected since
                sizes += os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
        return sizes


def read_chunk(chunk: Chunk, scratch: Scratch, folder: int, shown: str) -> memoryview:
    """The checked contents of the chunk that lies in a folder; `shown` is its path. Raises Corrupt, OSError."""
    contents = scratch.unpacked(_load(chunk, scratch, folder, shown), chunk.length, chunk.digest)
    if contents is None:
        raise Corrupt(f"the chunk {chunk.digest} is damaged")
    return contents


def _load(chunk: Chunk, scratch: Scratch, folder: int, shown: str) -> int:
    try:
        descriptor = open_file(chunk.digest, folder, shown)
    except FileNotFoundError:
        raise Corrupt(f"the chunk {chunk.digest} is missing") from None
    except Unsafe as error:
        raise Corrupt(str(error).rstrip(".")) from error
    try:
        size = os.fstat(descriptor).st_size
        if not 0 < size <= chunk.length or _read(descriptor, scratch.stored[:size]) != size:
            raise Corrupt(f"the chunk {chunk.digest} is damaged")
        return size
    except OSError as error:
        if error.errno == errno.EIO:  # a bad sector
            raise Corrupt(f"the chunk {chunk.digest} cannot be read ({error.strerror})") from error
        raise
    finally:
        os.close(descriptor)


def _read(descriptor: int, into: memoryview) -> int:
    done = 0
    while done < len(into) and (count := os.preadv(descriptor, [into[done:]], done)):
        done += count
    return done
