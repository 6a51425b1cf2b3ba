"""Chunks that come from elsewhere: stored only if they are what the manifest says."""

from collections.abc import Callable, Iterable

from glowplug.artifacts.chunk_codec import Scratch
from glowplug.artifacts.errors import Corrupt
from glowplug.artifacts.manifest import Chunk
from glowplug.artifacts.parallel import for_each
from glowplug.artifacts.writer import Writer

Fetch = Callable[[Chunk, memoryview], int]
"""Puts the kept form of a chunk, at most as many bytes as the chunk has, into a buffer and gives its size. Called from
several threads. Raises StoreError, OSError."""


def store_chunks(chunks: Iterable[Chunk], fetch: Fetch, writer: Writer, shown: str, threads: int) -> None:
    """Give the chunks to a writer; those that it has are not fetched. Raises Corrupt, StoreError, OSError."""

    def store(scratch: Scratch, chunk: Chunk) -> None:
        if not writer.wants(chunk, scratch):
            return
        size = fetch(chunk, scratch.stored[: chunk.length])
        if scratch.unpacked(size, chunk.length, chunk.digest) is None:
            raise Corrupt(f"The chunk {chunk.digest} in {shown} is damaged; remove that copy and make it anew.")
        writer.write(chunk.digest, scratch.stored[:size])

    for_each(chunks, store, Scratch, threads)
