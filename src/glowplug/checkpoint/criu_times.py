"""When CRIU did what during a restore, found out afterwards from the two files that it leaves in its directory.

CRIU measures itself only how long it worked on the processes. When it began and ended is told by its files: it makes
its log first and writes its statistics last. Their times are as fine as the kernel's clock ticks, 1 to 10 ms.
"""

import ctypes
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from glowplug.checkpoint.criu import RESTORE_LOG, RESTORE_STATISTICS
from glowplug.checkpoint.criu_images import ImageError, timings

_AT_FDCWD = -100
_STATX_BTIME = 0x800
_STATX_SIZE, _MASK_OFFSET, _BIRTH_OFFSET = 256, 0, 80
"""Bytes in `struct statx` (statx(2)), and where its mask and its time of birth are."""

_NANO = 1_000_000_000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class RestoreTimes:
    """Times of `time.monotonic`.

    Attributes:
        began: CRIU's start.
        processes: it has read what the image says and begins to make processes.
        ended: they are whole and run.
    """

    began: float
    processes: float
    ended: float


def restore_times(folder: Path) -> RestoreTimes | None:
    """Those of the restore whose log and statistics lie in the folder; None if they do not tell."""
    try:
        now = time.time_ns()
        offset = time.monotonic() - now / _NANO
        ended = (folder / RESTORE_STATISTICS).stat().st_mtime_ns / _NANO + offset
        born = _birth(folder / RESTORE_LOG)
        took = timings(folder)
        return RestoreTimes(born + offset, ended - took["forking"] - took["restoring"], ended)
    except (OSError, ImageError, KeyError):
        return None


def _birth(file: Path) -> float:
    """When a file was made, in seconds of the real time. Raises OSError; `os.statx` comes with Python 3.15."""
    found = ctypes.create_string_buffer(_STATX_SIZE)
    if _libc.statx(_AT_FDCWD, os.fsencode(file), 0, _STATX_BTIME, found) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(file))
    (mask,) = struct.unpack_from("=I", found, _MASK_OFFSET)
    if not mask & _STATX_BTIME:
        raise OSError(0, "the file system does not keep when files are made", str(file))
    seconds, nanoseconds = struct.unpack_from("=qI", found, _BIRTH_OFFSET)
    return seconds + nanoseconds / _NANO
