"""A chunk as it is kept: its bytes as they are, or one zstd frame if that is clearly smaller.

Which of both it is needs no mark: a chunk that takes as many bytes as it has is kept as it is.
"""

import mmap

import zstandard
from blake3 import blake3

from glowplug.artifacts.manifest import MAX_CHUNK

WORTH_IT = 0.9
"""A frame larger than this part of the chunk is not kept: unpacking it costs more than reading the rest."""


class Scratch:
    """The buffers of one thread, made once and used for chunk after chunk.

    `raw` takes the bytes of a source, `stored` the kept form of a chunk; memory is used only for what is filled.
    """

    def __init__(self, level: int | None = None) -> None:
        """`level` is zstd's, None to keep chunks as they are."""
        self.raw = _buffer()
        self.stored = _buffer()
        self._unpacked = _buffer()
        self._pack = None if level is None else zstandard.ZstdCompressor(level=level)
        self._unpack = zstandard.ZstdDecompressor(max_window_size=MAX_CHUNK)

    def packed(self, length: int) -> bytes | memoryview:
        """The form to be kept of the first `length` bytes of `raw`."""
        raw = self.raw[:length]
        if self._pack is None:
            return raw
        frame = self._pack.compress(raw)
        return frame if len(frame) < length * WORTH_IT else raw

    def unpacked(self, size: int, length: int, digest: str) -> memoryview | None:
        """The chunk whose kept form is the first `size` bytes of `stored`; None if they are not that chunk.

        What is given is valid until the next call.
        """
        if size == length:
            contents = self.stored[:length]
        else:
            contents = self._unpacked[:length]
            try:
                stream = self._unpack.stream_reader(self.stored[:size])
                if stream.readinto(contents) != length:  # pyright: ignore[reportUnknownMemberType]
                    return None
            except zstandard.ZstdError:
                return None
        return contents if digest_of(contents) == digest else None


def _buffer() -> memoryview:
    """Room for a chunk; its pages come into being when they are written, which those of a bytearray do at once."""
    return memoryview(mmap.mmap(-1, MAX_CHUNK, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def digest_of(data: memoryview | bytes) -> str:
    """BLAKE3 in hexadecimal digits."""
    return blake3(data).hexdigest()
