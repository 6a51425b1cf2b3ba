"""Image files made by hand, in CRIU's format, for tests that need no CRIU."""

from collections.abc import Sequence
from pathlib import Path

from glowplug.checkpoint import pagemap
from glowplug.checkpoint.criu_images import Vma, write_messages
from glowplug.checkpoint.pagemap import Entry, Pagemap
from glowplug.checkpoint.protobuf_wire import numeric_field

INVENTORY, PSTREE, MM, STATS = 0x58313116, 0x50273030, 0x57492820, 0x57093306
PRESENT = numeric_field(4, 4)
"""What follows an entry's numbers: the flag that its pages are in the pages file."""

PRIVATE_ANONYMOUS = (0x22, 1 | 1 << 9)
PRIVATE_FILE = (0x02, 1 | 1 << 6)
SHARED_ANONYMOUS = (0x21, 1 | 1 << 8)
VDSO = (0x22, 1 | 1 << 3 | 1 << 9)
HUGE_PAGES = (0x40022, 1 | 1 << 9)


def message_field(which: int, message: bytes) -> bytes:
    """A field with a message, as bytes; shorter than 128 bytes."""
    assert len(message) < 128
    return bytes([which << 3 | 2, len(message)]) + message


def write_pstree(images: Path, processes: Sequence[tuple[int, int]]) -> None:
    """Pids, each with its parent's."""
    messages = [
        b"".join(map(numeric_field, (1, 2, 3, 4, 5), (pid, parent, pid, pid, pid))) for pid, parent in processes
    ]
    write_messages(images / "pstree.img", PSTREE, messages)


def write_memory(images: Path, pid: int, areas: Sequence[Vma], entries: Sequence[Entry], pages: bytes) -> None:
    """A process's areas, its pagemap, and its pages, in the file of the number 1000 + pid."""
    encoded = [
        b"".join(map(numeric_field, range(1, 9), (area.start, area.end, 0, 0, 3, area.flags, area.status, 0)))
        for area in areas
    ]
    write_messages(images / f"mm-{pid}.img", MM, [b"".join(message_field(14, area) for area in encoded)])
    head = numeric_field(1, 1000 + pid)
    pagemap.write(images / f"pagemap-{pid}.img", Pagemap(head, 1000 + pid, entries))
    (images / f"pages-{1000 + pid}.img").write_bytes(pages)
