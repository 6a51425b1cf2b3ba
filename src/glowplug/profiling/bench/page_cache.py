"""Bringing weights into the kernel's page cache, or out of it, before a repeat."""

import os
from collections.abc import Sequence
from pathlib import Path

from glowplug.node import pagecache
from glowplug.profiling.bench.paths import PageCache

_DROP_CACHES = Path("/proc/sys/vm/drop_caches")
_BLOCK = 8 * 1024**2


class CannotDrop(Exception):
    """The page cache of the machine may not be dropped. The text is one sentence for the user, with the remedy."""


def require_machine_drop() -> None:
    """Raise CannotDrop unless this process may drop all pages of the machine."""
    if not os.access(_DROP_CACHES, os.W_OK):
        raise CannotDrop(
            "page_cache: machine needs root and a writable /proc/sys/vm/drop_caches; "
            "run as root on the host itself, or leave it at: page_cache: weights"
        )


def prepare(wanted: PageCache, weights: Sequence[Path], *, whole_machine: bool) -> None:
    """Do it. Blocks while the disk works. Raises OSError if a weight file cannot be read."""
    match wanted:
        case PageCache.FILLED:
            _read(weights)
        case PageCache.DROPPED if whole_machine:
            os.sync()
            _DROP_CACHES.write_text("3")  # page cache, directory entries and inodes: proc_sys_vm(5)
        case PageCache.DROPPED:
            pagecache.drop(weights)
        case PageCache.UNTOUCHED:
            pass


def _read(files: Sequence[Path]) -> None:
    buffer = bytearray(_BLOCK)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
