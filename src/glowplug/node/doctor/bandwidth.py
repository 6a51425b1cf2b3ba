"""How fast a disk and the page cache are: that decides how long a start or a restore takes."""

import mmap
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from glowplug.node.doctor.report import Finding, State

_SIZE = 128 << 20
"""Bytes written at most: read in 0.02 s by a fast disk, which is enough to tell 1 GB/s from 5."""

_BLOCK = 4 << 20
_READERS = 4
"""One reader leaves a modern disk waiting for it; from four on little is gained."""

_LONGEST = 1.0
"""Seconds that writing and each reading may take; what was done by then is what is reported."""

_ENOUGH_ROOM = 1 << 30
"""Bytes that must be free before 128 MiB of them are taken, for a moment, for a measurement."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Bytes per second. `direct` says whether the disk was read past the page cache, as the kernel promises it."""

    write: float
    read: float
    cached: float
    direct: bool


def bandwidth(directory: Path) -> Sequence[Finding]:
    """Measure the disk of a directory, and the page cache with the same file.

    Bounded by 128 MiB and 3 seconds. The file has no name, so nothing can be left behind, and the directory is not made
    if it does not exist: the nearest one above it is on the same disk.
    """
    try:
        existing = next(parent for parent in (directory, *directory.parents) if parent.is_dir())
        free = _free(existing)
        values = {"directory": str(directory), "free_bytes": free}
        summary = f"{free / 2**30:.1f} GiB free for {directory}"
        if free < _ENOUGH_ROOM:
            remedy = "make room: snapshots and compile caches take gigabytes"
            return [
                Finding("disk", State.MISSING, summary, remedy, values),
                Finding("page cache", State.NONE, "not measured"),
            ]
        speed = measure(existing)
    except OSError as error:
        reason = f"{directory} cannot be used ({error.strerror})"
        return [
            Finding("disk", State.MISSING, reason, "choose another node.state_dir", {"directory": str(directory)}),
            Finding("page cache", State.NONE, "not measured"),
        ]
    rates = {"read_bytes_per_second": round(speed.read), "write_bytes_per_second": round(speed.write)}
    return [
        Finding(
            "disk",
            State.OK,
            f"reads {_rate(speed.read)}, writes {_rate(speed.write)}; {summary}",
            values=values | rates | {"direct": speed.direct},
        ),
        Finding(
            "page cache",
            State.OK,
            f"reads {_rate(speed.cached)}",
            values={"read_bytes_per_second": round(speed.cached)},
        ),
    ]


def measure(directory: Path) -> Speed:
    """Write a file without a name and read it, past the page cache and out of it. Raises OSError."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        descriptor = file.fileno()
        write, size = _write(descriptor)
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        again = f"/proc/self/fd/{descriptor}"
        try:
            past_cache = os.open(again, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
            direct = True
        except OSError:  # tmpfs, ZFS and others read only through memory
            past_cache = os.open(again, os.O_RDONLY | os.O_CLOEXEC)
            direct = False
        try:
            read = _read(past_cache, size, _READERS)
        finally:
            os.close(past_cache)
        _read(descriptor, size, 1)
        cached = _read(descriptor, size, 1)
    return Speed(write, read, cached, direct)


def _write(descriptor: int) -> tuple[float, int]:
    """Rate, and how much was written. Every block is on the disk before the next; random, as disks may compress."""
    block = os.urandom(_BLOCK)
    started = time.monotonic()
    written = 0
    while written < _SIZE and (written == 0 or time.monotonic() - started < _LONGEST):
        written += os.write(descriptor, block)
        os.fdatasync(descriptor)
    return written / (time.monotonic() - started), written


def _read(descriptor: int, size: int, readers: int) -> float:
    started = time.monotonic()
    parts = [range(first * _BLOCK, size, readers * _BLOCK) for first in range(readers)]
    with ThreadPoolExecutor(readers) as pool:
        jobs = [pool.submit(_read_part, descriptor, part, started + _LONGEST) for part in parts]
        done = sum(job.result() for job in jobs)
    return done / (time.monotonic() - started)


def _read_part(descriptor: int, offsets: Sequence[int], deadline: float) -> int:
    with mmap.mmap(-1, _BLOCK) as buffer:  # aligned to pages, as O_DIRECT wants it
        done = 0
        for offset in offsets:
            done += os.preadv(descriptor, [buffer], offset)
            if time.monotonic() > deadline:
                break
        return done


def _free(directory: Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def _rate(rate: float) -> str:
    return f"{rate / 1e9:.2f} GB/s" if rate >= 1e9 else f"{rate / 1e6:.0f} MB/s"
