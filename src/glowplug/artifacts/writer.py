"""Writing an artifact: chunks first, each on the disk before it has its name; the manifest last.

A writer has a folder of its own, locked as long as its process lives. Every chunk that its artifact needs is linked
there, new or found: so garbage collection in another process can take no file from it, and neither waits for the other.
What a killed writer leaves is its folder, whose lock is then free, and whole chunks that the next writer can use.
"""

import fcntl
import os
import threading
import uuid
from contextlib import suppress
from typing import Self

from glowplug.artifacts.budget import Budget
from glowplug.artifacts.chunk_codec import Scratch
from glowplug.artifacts.chunk_files import ChunkFiles, read_chunk
from glowplug.artifacts.errors import Corrupt
from glowplug.artifacts.layout import Layout, locked
from glowplug.artifacts.manifest import Chunk
from glowplug.artifacts.private_files import names_in, open_directory, write_file


class Writer:
    """One artifact in the making; a context manager. Its methods may be called by several threads at once."""

    def __init__(self, layout: Layout, chunks: ChunkFiles, budget: Budget) -> None:
        """Begin. Raises OSError, Unsafe."""
        self._layout = layout
        self._chunks = chunks
        self._budget = budget
        self._mutex = threading.Lock()
        self._claimed: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._name = uuid.uuid4().hex
        with layout.lock():  # so that nobody sees the folder before it is locked
            self._folder = open_directory(self._name, layout.writing, layout.shown("writing", self._name))
            locked(self._folder, fcntl.LOCK_EX)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the folder up: what was not published is left to garbage collection."""
        with suppress(OSError):
            remove_folder(self._name, self._layout.writing, self._folder)
        os.close(self._folder)

    @property
    def stored_bytes(self) -> int:
        """Bytes that the chunks so far take, each counted once."""
        return sum(self._sizes.values())

    def wants(self, chunk: Chunk, scratch: Scratch) -> bool:
        """Whether the caller must `write` this chunk. If the store has a good one it is held from now on.

        True is given once per chunk. Uses the buffers of `scratch` but for `raw`. Raises OSError.
        """
        with self._mutex:
            if chunk.digest in self._claimed:
                return False
            self._claimed.add(chunk.digest)
        return not self._found(chunk, scratch)

    def write(self, digest: str, stored: bytes | memoryview) -> None:
        """Hold a new chunk, of which `stored` is the kept form. Raises StoreFull, OSError."""
        self._budget.take(len(stored))
        write_file(digest, self._folder, stored)
        with suppress(FileExistsError):  # another writer was faster
            os.link(digest, digest, src_dir_fd=self._folder, dst_dir_fd=self._layout.chunks, follow_symlinks=False)
        self._hold(digest)

    def publish(self, name: str, contents: bytes) -> None:
        """Make the artifact exist under its id, with all its chunks; if it does already, it stays. Raises OSError."""
        layout = self._layout
        write_file("manifest", self._folder, contents)
        with layout.lock():
            for digest in self._sizes:
                with suppress(FileExistsError):  # else it was collected since: nobody but this writer had it
                    os.link(digest, digest, src_dir_fd=self._folder, dst_dir_fd=layout.chunks, follow_symlinks=False)
            os.fsync(layout.chunks)
            with suppress(FileExistsError):  # readers hold locks on the file that is there
                os.link("manifest", name, src_dir_fd=self._folder, dst_dir_fd=layout.manifests, follow_symlinks=False)
            os.fsync(layout.manifests)

    def _found(self, chunk: Chunk, scratch: Scratch) -> bool:
        digest, layout = chunk.digest, self._layout
        try:
            os.link(digest, digest, src_dir_fd=layout.chunks, dst_dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        except PermissionError:  # a directory was put in its place
            self._chunks.discard(chunk, scratch)
            return False
        try:
            read_chunk(chunk, scratch, self._folder, layout.shown("chunks", digest))
        except Corrupt:
            os.unlink(digest, dir_fd=self._folder)
            self._chunks.discard(chunk, scratch)
            return False
        self._hold(digest)
        return True

    def _hold(self, digest: str) -> None:
        size = os.stat(digest, dir_fd=self._folder, follow_symlinks=False).st_size
        with self._mutex:
            self._sizes[digest] = size


def remove_folder(name: str, folder: int, opened: int) -> None:
    """Remove a writer's folder, of which `opened` is a descriptor. Raises OSError."""
    for file in names_in(opened):
        os.unlink(file, dir_fd=opened)
    os.rmdir(name, dir_fd=folder)
