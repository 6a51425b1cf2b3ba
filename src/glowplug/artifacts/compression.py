"""How the chunks of a store are kept on this host: as they are, or packed by which level of zstd.

Decided once, by measuring the disk and the CPU, and remembered in the store. A reader reads and unpacks at the same
time, so the slower of both is what it waits for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from glowplug.artifacts.errors import StoreError
from glowplug.artifacts.host_speed import Packing, disk_bandwidth, packing_of
from glowplug.artifacts.layout import Layout
from glowplug.artifacts.parallel import cpus
from glowplug.artifacts.private_files import read_file

LEVELS = (-1, 1, 3)
"""Levels of zstd that are tried. Higher ones take many times the CPU for a few per cent fewer bytes of images."""

_FILE = "compression.json"
_FILE_LIMIT = 4096

_CLEARLY = 2.0
"""Chunks are kept as they are only if that makes them usable in less than half the time: packed ones take a third of
the disk and of the page cache, where the next reader finds them."""

_ABOUT = 1.2
"""Of levels that differ by less than a fifth in time the one that packs best is taken."""


class _Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    level: Annotated[int, Meta(ge=-100, le=22)] | None
    because: str


def level_of(layout: Layout) -> int | None:
    """The zstd level of this store, None for chunks as they are; measured first if it never was. Raises OSError."""
    shown = layout.shown(_FILE)
    try:
        return msgspec.json.decode(read_file(_FILE, layout.root, shown, _FILE_LIMIT), type=_Choice).level
    except (FileNotFoundError, msgspec.MsgspecError, StoreError):
        pass  # nothing measured yet, or nothing that can be believed
    try:
        disk = disk_bandwidth(layout.root)
    except OSError:  # a file system without O_TMPFILE is a network's or a layered one: slow
        disk = 0.0
    choice = choose(disk, cpus(), [packing_of(level) for level in (None, *LEVELS)])
    _keep(layout, choice.level, f"the disk reads {disk / 1e6:.0f} MB/s; with {cpus()} CPUs {_told(choice)}")
    return choice.level


def force(directory: Path, level: int | None) -> None:
    """From now on keep new chunks of the store in this way, whatever was measured. Raises StoreError, OSError."""
    _keep(Layout(directory), level, "forced")


def choose(disk: float, threads: int, measured: Sequence[Packing]) -> Packing:
    """The best of what was measured, of which one has the level None; `disk` in bytes per second, 0 if unknown."""

    def seconds(packing: Packing) -> float:
        return max(packing.ratio / disk, packing.seconds / threads)

    if not disk:
        return min(measured, key=lambda each: each.ratio)
    plain = next(packing for packing in measured if packing.level is None)
    packed = [packing for packing in measured if packing.level is not None]
    fastest = min(map(seconds, packed))
    if seconds(plain) * _CLEARLY < fastest:
        return plain
    return min((packing for packing in packed if seconds(packing) <= fastest * _ABOUT), key=lambda each: each.ratio)


def _keep(layout: Layout, level: int | None, because: str) -> None:
    with layout.lock():
        layout.replace_file(_FILE, msgspec.json.encode(_Choice(level, because)) + b"\n")


def _told(packing: Packing) -> str:
    return f"chunks of {packing.ratio:.2f} of the size are unpacked at {cpus() / packing.seconds / 1e6:.0f} MB/s"
