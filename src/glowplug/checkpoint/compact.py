"""Compaction of a dump: zero pages that a restore need not read are left out of its images.

CRIU leaves out the pages that a process never touched, but not those that it touched and that hold zeros: over half
of the memory of an engine that has just started. In anonymous private memory a page that is in no image is zero after
a restore, until it is touched without any memory of its own; so the content stays the same. A private mapping of a
file has the file's content there instead, and its zero pages stay.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glowplug.checkpoint import pagemap
from glowplug.checkpoint.criu_images import PAGE, ImageError, Vma, processes, vmas
from glowplug.checkpoint.pagemap import Entry

SHORTEST = 8
"""Pages. Leaving out a shorter run would cost the restore more, for one read more and for faults, than it saves."""

_MAP_TYPE, _MAP_PRIVATE, _MAP_ANONYMOUS, _MAP_HUGETLB = 0x0F, 0x02, 0x20, 0x40000  # linux/mman.h
_REGULAR, _ANON_PRIVATE = 1 << 0, 1 << 9  # VMA_AREA_* of CRIU's criu/include/image.h
_SPECIAL = 1 << 2 | 1 << 3 | 1 << 12 | 1 << 13  # vsyscall, vDSO, its data, ring of asynchronous I/O
_BLOCK = 256 * PAGE
"""Bytes read or moved at once: they stay within a processor's second-level cache."""

_ZERO_PAGE = bytes(PAGE)


@dataclass(frozen=True, slots=True)
class Compaction:
    """What it came to: bytes of pages before and after, and the pages that were left out."""

    before: int
    after: int
    zero_pages: int


def compact(images: Path) -> Compaction:
    """Leave the zero pages out of the images of a dump, in place and without memory of its own. Blocks.

    About a second for 3 GB in a tmpfs, most of it outside the interpreter's lock. When it fails or is killed midway,
    the images are of no use any more. Raises ImageError; OSError if a file cannot be read or written.
    """
    before = sum(file.stat().st_size for file in images.glob("pages-*.img"))
    zero_pages = 0
    for process in processes(images):
        # A zombie has no memory.
        if (images / f"mm-{process.pid}.img").exists():
            zero_pages += _compact_process(images, process.pid)
    return Compaction(before, before - zero_pages * PAGE, zero_pages)


def _compact_process(images: Path, pid: int) -> int:
    index = images / f"pagemap-{pid}.img"
    old = pagemap.read(index)
    pages = images / f"pages-{old.pages_id}.img"
    try:
        descriptor = os.open(pages, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ImageError(f"The image file {pages} cannot be opened: {error.strerror}.") from None
    try:
        if os.fstat(descriptor).st_size != old.present * PAGE:
            raise ImageError(f"The image file {pages} has not the size that {index.name} tells.")
        zeros = _left_out(descriptor, old.entries, vmas(images, pid))
        if not zeros:
            return 0
        _close_up(descriptor, zeros, old.present)
    finally:
        os.close(descriptor)
    new = index.with_suffix(".new")
    pagemap.write(new, replace(old, entries=list(_without(old.entries, zeros))))
    new.replace(index)
    return sum(count for _, count in zeros)


def _left_out(descriptor: int, entries: Sequence[Entry], areas: Sequence[Vma]) -> list[tuple[int, int]]:
    """The runs of zero pages to leave out: number of the first page within the pages file, and their count."""
    found: list[tuple[int, int]] = []
    position = 0  # of the entry's first page in the file
    areas = [area for area in areas if _zero_when_absent(area)]
    which = 0
    for entry in entries:
        if not entry.present:
            continue
        while which < len(areas) and areas[which].end <= entry.start:
            which += 1
        for area in areas[which:]:
            if area.start >= entry.end:
                break
            first = (max(area.start, entry.start) - entry.start) // PAGE
            end = (min(area.end, entry.end) - entry.start) // PAGE
            found += _zero_runs(descriptor, position + first, position + end)
        position += entry.pages
    return found


def _zero_when_absent(area: Vma) -> bool:
    anonymous = area.flags & (_MAP_TYPE | _MAP_ANONYMOUS | _MAP_HUGETLB) == _MAP_PRIVATE | _MAP_ANONYMOUS
    return anonymous and area.status & (_REGULAR | _ANON_PRIVATE | _SPECIAL) == _REGULAR | _ANON_PRIVATE


def _zero_runs(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The longest runs of at least SHORTEST zero pages between two pages of the file.

    A run that begins at `start` or later covers the page SHORTEST - 1 behind it, or begins behind that one: so where
    memory is in use, only every eighth page is looked at.
    """
    while start + SHORTEST <= end:
        probe = start + SHORTEST - 1
        if not _is_zero(descriptor, probe):
            start = probe + 1
            continue
        first = probe
        while first > start and _is_zero(descriptor, first - 1):
            first -= 1
        behind = _first_in_use(descriptor, probe + 1, end)
        if behind - first >= SHORTEST:
            yield first, behind - first
        start = behind + 1


def _is_zero(descriptor: int, page: int) -> bool:
    return os.pread(descriptor, PAGE, page * PAGE) == _ZERO_PAGE


def _first_in_use(descriptor: int, start: int, end: int) -> int:
    """The first page from `start` on that is not zero, or `end`."""
    while start < end:
        block = os.pread(descriptor, min(_BLOCK, (end - start) * PAGE), start * PAGE)
        if not block:
            raise ImageError("An image file became shorter while it was compacted.")
        for offset in range(0, len(block), PAGE):
            if block[offset : offset + PAGE] != _ZERO_PAGE:
                return start + offset // PAGE
        start += len(block) // PAGE
    return end


def _close_up(descriptor: int, zeros: Sequence[tuple[int, int]], pages: int) -> None:
    """Move what lies behind each run of zeros forward over it, and cut the file off behind the last page.

    Nothing is overwritten before it has been moved, as everything moves towards the file's beginning.
    """
    block = memoryview(bytearray(_BLOCK))
    target = zeros[0][0] * PAGE
    ends = [first for first, _ in zeros[1:]] + [pages]
    for (first, count), end in zip(zeros, ends, strict=True):
        source = (first + count) * PAGE
        while source < end * PAGE:
            length = os.preadv(descriptor, [block[: min(_BLOCK, end * PAGE - source)]], source)
            if not length:
                raise ImageError("An image file became shorter while it was compacted.")
            written = 0
            while written < length:
                written += os.pwrite(descriptor, block[written:length], target + written)
            source += length
            target += length
    os.ftruncate(descriptor, target)


def _without(entries: Sequence[Entry], zeros: Sequence[tuple[int, int]]) -> Iterator[Entry]:
    """The entries without the runs; each run lies within one of them."""
    position = 0
    which = 0
    for entry in entries:
        if not entry.present:
            yield entry
            continue
        start = position
        position += entry.pages
        address = entry.start
        while which < len(zeros) and zeros[which][0] < position:
            first, count = zeros[which]
            yield from _part(entry, address, entry.start + (first - start) * PAGE)
            address = entry.start + (first + count - start) * PAGE
            which += 1
        yield from _part(entry, address, entry.end)


def _part(entry: Entry, start: int, end: int) -> Iterator[Entry]:
    if start < end:
        yield replace(entry, start=start, pages=(end - start) // PAGE)
