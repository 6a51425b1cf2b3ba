"""How fast this host reads its disk and packs and unpacks memory images, measured in a fraction of a second."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glowplug.artifacts.chunk_codec import Scratch, digest_of
from glowplug.artifacts.chunking import CHUNK
from glowplug.artifacts.private_files import write_all

_SAMPLE = 4 << 20
"""Bytes of programs and libraries; half of the memory of an engine is such, and the rest packs better or not at all."""

_DISK_SAMPLE = 32 << 20
"""Bytes; enough that a disk's first answer does not decide."""


@dataclass(frozen=True, slots=True)
class Packing:
    """One way to keep chunks: `ratio` of kept to given bytes, `seconds` of a CPU to make a byte usable again."""

    level: int | None
    ratio: float
    seconds: float


def packing_of(level: int | None) -> Packing:
    """Measure one zstd level (None: chunks as they are) on what this process has mapped: programs and libraries.

    Counted is what a reader does: unpack, hash, and write to memory. CPU time, so that load does not matter.
    """
    scratch = Scratch(level)
    memory = os.memfd_create("glowplug-sample", os.MFD_CLOEXEC)
    given = kept = 0
    seconds = 0.0
    try:
        for sample in _samples():
            scratch.raw[: len(sample)] = sample
            digest = digest_of(sample)
            packed = scratch.packed(len(sample))
            scratch.stored[: len(packed)] = packed
            start = time.thread_time()
            contents = scratch.unpacked(len(packed), len(sample), digest)
            assert contents is not None
            write_all(memory, contents)
            seconds += time.thread_time() - start
            given += len(sample)
            kept += len(packed)
    finally:
        os.close(memory)
    return Packing(level, kept / given, seconds / given)


def disk_bandwidth(folder: int) -> float:
    """Bytes per second that the disk of an open directory reads, after the page cache was told to forget them.

    The slowest of three reads: what was just written often still lies in a cache below, of a controller or of the host
    of a virtual machine. Raises OSError.
    """
    file = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        block = memoryview(bytearray(os.urandom(CHUNK)))
        for _ in range(_DISK_SAMPLE // CHUNK):
            write_all(file, block)
        os.fsync(file)
        return _DISK_SAMPLE / max(_read_time(file, block) for _ in range(3))
    finally:
        os.close(file)


def _read_time(file: int, block: memoryview) -> float:
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    start = time.perf_counter()
    for offset in range(0, _DISK_SAMPLE, CHUNK):
        os.preadv(file, [block], offset)
    return time.perf_counter() - start


def _samples() -> Iterator[bytes]:
    left = _SAMPLE
    for path in _mapped_files():
        with path.open("rb") as file:
            while left > 0 and (sample := file.read(min(CHUNK, left))):
                yield sample
                left -= len(sample)


def _mapped_files() -> list[Path]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    paths = {Path(parts[5]) for line in lines if len(parts := line.split(maxsplit=5)) == 6}
    return sorted(path for path in paths if path.is_absolute() and path.is_file())
