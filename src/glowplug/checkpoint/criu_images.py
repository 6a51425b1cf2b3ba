"""The few of CRIU's image files that Glowplug reads: processes, memory areas, pagemaps and timings.

A file is one or two magic numbers of 32 bits, then messages, each after its length in 32 bits; `pages-N.img` alone is
raw memory. Source: https://criu.org/Images and the .proto files of the package python3-pycriu 4.2.1.
"""

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from glowplug.checkpoint import protobuf_wire as wire
from glowplug.checkpoint.protobuf_wire import WireError

PAGE = 4096
"""Bytes in the page of x86-64, and of arm64 kernels with 4 KiB pages, the only ones that Glowplug snapshots."""

_COMMON, _SERVICE = 0x54564319, 0x55105940  # what stands before the kind since version 1.1 of the format
_INVENTORY, _PSTREE, _MM, _STATS = 0x58313116, 0x50273030, 0x57492820, 0x57093306
_LARGEST = 256 << 20
"""Bytes. The pagemap of 100 GB of memory in which every second page is present has half of that."""

_T = TypeVar("_T")
_U = TypeVar("_U")


class ImageError(Exception):
    """An image file is missing, damaged or of an unknown kind. One sentence for the user."""


@dataclass(frozen=True, slots=True)
class ImageProcess:
    """A process of the dumped tree. Pids are those of its own namespace; `parent` is 0 for the tree's root."""

    pid: int
    parent: int
    threads: Sequence[int]


@dataclass(frozen=True, slots=True)
class Vma:
    """A memory area: its addresses, MAP_* flags as for mmap(2), and CRIU's status bits (`VMA_*`)."""

    start: int
    end: int
    flags: int
    status: int


def processes(images: Path) -> Sequence[ImageProcess]:
    """The processes of the tree, its root first. Raises ImageError."""
    file = images / "pstree.img"
    found = [parsed(file, _process, message) for message in read_messages(file, _PSTREE)]
    if not found:
        raise ImageError(f"The image file {file} names no process.")
    return found


def format_version(images: Path) -> int:
    """The version of the image format (2 in CRIU 4). Raises ImageError."""
    file = images / "inventory.img"
    message = only_message(file, _INVENTORY)
    return parsed(file, lambda inventory: wire.number(wire.fields(inventory), 1), message)


def vmas(images: Path, pid: int) -> Sequence[Vma]:
    """The memory areas of a process, in their order. Raises ImageError."""
    file = images / f"mm-{pid}.img"
    return parsed(file, _vmas, only_message(file, _MM))


def timings(directory: Path) -> Mapping[str, float]:
    """Seconds of the phases that CRIU measured, by name, of the dump or restore that left its statistics here.

    Of a dump: `freezing`, `frozen` (the whole time the tree stood still), `memdump`, `memwrite`. Of a restore:
    `forking`, `restoring` (from the last process forked to all of them ready to run). Phases of both are there when
    both used this working directory, none when neither did. Raises ImageError.
    """
    found: dict[str, float] = {}
    for name, number, phases in _STATISTICS:
        file = directory / name
        if not file.exists():
            continue
        parts = parsed(file, _part(number), only_message(file, _STATS))
        for part in parts:
            fields = parsed(file, wire.fields, part)
            found |= {phase: parsed(file, _microseconds(field), fields) / 1e6 for phase, field in phases.items()}
    return found


# File, number of its part in stats_entry, phases by the field's number (stats.proto).
_STATISTICS = (
    ("stats-dump", 1, {"freezing": 1, "frozen": 2, "memdump": 3, "memwrite": 4}),
    ("stats-restore", 2, {"forking": 3, "restoring": 4}),
)


def read_messages(file: Path, kind: int) -> Sequence[bytes]:
    """The messages of an image file, whose magic number must be `kind`. Raises ImageError."""
    content = _content(file)
    position = _after_magic(file, content, kind)
    found: list[bytes] = []
    while position < len(content):
        start = position + 4
        if start > len(content):
            raise ImageError(f"The image file {file} is cut off; make the snapshot again.")
        position = start + int.from_bytes(content[position:start], "little")
        if position > len(content):
            raise ImageError(f"The image file {file} is cut off; make the snapshot again.")
        found.append(content[start:position])
    return found


def write_messages(file: Path, kind: int, messages: Sequence[bytes]) -> None:
    """Write an image file of the common sort (format 1.1 and later), mode 0600. Raises FileExistsError, OSError."""
    parts = [struct.pack("<II", _COMMON, kind)]
    for message in messages:
        parts += (struct.pack("<I", len(message)), message)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(b"".join(parts))


def only_message(file: Path, kind: int) -> bytes:
    """The message of an image file that holds one. Raises ImageError."""
    found = read_messages(file, kind)
    if len(found) != 1:
        raise ImageError(f"The image file {file} holds {len(found)} messages instead of one.")
    return found[0]


def parsed(file: Path, parse: Callable[[_T], _U], source: _T) -> _U:
    """What `parse` makes of a part of the file; a WireError becomes an ImageError that names the file."""
    try:
        return parse(source)
    except WireError as error:
        raise ImageError(f"The image file {file} cannot be read: {error}.") from None


def _content(file: Path) -> bytes:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise ImageError(f"The image file {file} cannot be read: {error.strerror}.") from None
    if len(content) > _LARGEST:
        raise ImageError(f"The image file {file} is larger than any that CRIU writes.")
    return content


def _after_magic(file: Path, content: bytes, kind: int) -> int:
    if len(content) >= 4 and int.from_bytes(content[:4], "little") == kind:
        return 4
    if len(content) >= 8:
        first, second = struct.unpack_from("<II", content)
        if first in (_COMMON, _SERVICE) and second == kind:
            return 8
    raise ImageError(f"The file {file} is not the CRIU image that its name says.")


def _process(message: bytes) -> ImageProcess:
    fields = wire.fields(message)
    # The list of threads is written unpacked, as proto2 does by default.
    threads = [field.value for field in fields if field.number == 5 and isinstance(field.value, int)]
    return ImageProcess(wire.number(fields, 1), wire.number(fields, 2), threads)


def _vmas(memory: bytes) -> Sequence[Vma]:
    found: list[Vma] = []
    for message in wire.messages(wire.fields(memory), 14):
        fields = wire.fields(message)
        found.append(Vma(*(wire.number(fields, which) for which in (1, 2, 6, 7))))
    return found


def _part(number: int) -> Callable[[bytes], Sequence[bytes]]:
    return lambda statistics: wire.messages(wire.fields(statistics), number)


def _microseconds(number: int) -> Callable[[Sequence[wire.Field]], int]:
    return lambda fields: wire.number(fields, number)
