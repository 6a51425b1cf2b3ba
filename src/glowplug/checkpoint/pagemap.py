"""Pagemaps: which pages of a process's memory an image holds, and in which order they lie in its `pages-N.img`.

The pages of the entries that are present follow one another in the pages file, without an offset of their own
(https://criu.org/Memory_dumping_and_restoring, pagemap.proto). A page of no entry is one that the process never
touched: after a restore it is what a fresh mapping has there, zeros or the mapped file's content.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glowplug.checkpoint import protobuf_wire as wire
from glowplug.checkpoint.criu_images import PAGE, ImageError, parsed, read_messages, write_messages

KIND = 0x56084025  # the magic number

_PARENT, _PRESENT = 1 << 0, 1 << 2  # PE_PARENT, PE_PRESENT of criu/include/pagemap.h
_VADDR, _COMPAT_PAGES, _IN_PARENT, _FLAGS, _PAGES = 1, 2, 3, 4, 5
_HIGHEST = 1 << 57
"""Addresses of user space end there on x86-64 with five levels of page tables; no other architecture has more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A run of pages from address `start` on. `present`: they lie in the pages file. `other`: its further fields."""

    start: int
    pages: int
    present: bool
    other: bytes

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + self.pages * PAGE


@dataclass(frozen=True, slots=True)
class Pagemap:
    """The runs of one address space, by rising address; their content lies in `pages-{pages_id}.img`."""

    head: bytes
    pages_id: int
    entries: Sequence[Entry]

    @property
    def present(self) -> int:
        """Pages that lie in the pages file."""
        return sum(entry.pages for entry in self.entries if entry.present)


def read(file: Path) -> Pagemap:
    """Raises ImageError."""
    messages = read_messages(file, KIND)
    if not messages:
        raise ImageError(f"The image file {file} is empty; make the snapshot again.")
    entries = parsed(file, _entries, messages[1:])
    position = 0
    for entry in entries:
        if entry.start < position or entry.start % PAGE or not entry.pages or entry.end > _HIGHEST:
            raise ImageError(f"The image file {file} names impossible pages at {entry.start:#x}.")
        position = entry.end
    return Pagemap(messages[0], parsed(file, _pages_id, messages[0]), entries)


def write(file: Path, pagemap: Pagemap) -> None:
    """Write a new file; the fields that are not known here stay as they were read. Raises OSError."""
    messages = [_encoded(entry) for entry in pagemap.entries]
    write_messages(file, KIND, [pagemap.head, *messages])


def _pages_id(head: bytes) -> int:
    return wire.number(wire.fields(head), 1)


def _entries(messages: Sequence[bytes]) -> Sequence[Entry]:
    return [_entry(message) for message in messages]


def _entry(message: bytes) -> Entry:
    fields = wire.fields(message)
    # CRIU before 4.1 knows only the number of 32 bits; later ones write it as 0 beside the one of 64 bits.
    pages = wire.number(fields, _PAGES, 0) or wire.number(fields, _COMPAT_PAGES)
    parent = _PARENT if wire.number(fields, _IN_PARENT, 0) else 0
    flags = wire.number(fields, _FLAGS, parent or _PRESENT)  # very old images have `in_parent` alone
    present = bool(flags & _PRESENT) and not (flags | parent) & _PARENT
    other = b"".join(field.raw for field in fields if field.number not in (_VADDR, _COMPAT_PAGES, _PAGES))
    return Entry(wire.number(fields, _VADDR), pages, present, other)


def _encoded(entry: Entry) -> bytes:
    # The order of CRIU 4.2, which does not matter to a reader. It requires nothing of the old field but its presence.
    start = wire.numeric_field(_VADDR, entry.start)
    counts = wire.numeric_field(_COMPAT_PAGES, 0) + wire.numeric_field(_PAGES, entry.pages)
    return start + counts + entry.other
