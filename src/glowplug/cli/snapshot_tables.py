"""Snapshots as tables for people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glowplug.cli.tables import NOTHING, WIDTH, size

if TYPE_CHECKING:
    from glowplug.artifacts.manifest import Manifest
    from glowplug.node.snapshot_views import SnapshotListing, SnapshotView

_COLUMNS = ("ID", "MODEL", "MADE", "ENGINE", "SIZE", "STORED", "PAUSE", "FITS")
_RIGHT = {"SIZE", "STORED", "PAUSE", "TOOK"}
_SHORTEST = 8  # digits of an id; by them a handful of 128-bit numbers are told apart
_FITS = {True: Text("yes", style="green"), False: Text("no", style="red"), None: Text("?", style="dim")}


def print_listing(listing: "SnapshotListing") -> None:
    """One row for each snapshot; below them why some do not fit, and what is not used."""
    console = Console(highlight=False, width=WIDTH)
    names = [problem.name for problem in listing.problems]
    length = _length([*(view.id for view in listing.snapshots), *names])
    table = _table(_COLUMNS)
    for view in listing.snapshots:
        table.add_row(
            view.id[:length],
            view.model,
            _when(view.created_at),
            _engine(view),
            size(view.raw_bytes),
            size(view.stored_bytes),
            _pause(view.pause),
            _FITS[view.fits],
        )
    console.print(table)
    for view in listing.snapshots:
        if view.why:
            console.print(_why(view, view.id[:length]))
    for problem in listing.problems:
        name = problem.name if "/" in problem.name else problem.name[:length]
        what = "is set aside" if problem.quarantined else "is not used"
        console.print(Text(f"{name} {what}: {problem.reason}", style="red"))


def print_snapshot(view: "SnapshotView", manifest: "Manifest") -> None:
    """Everything about one snapshot."""
    console = Console(highlight=False, width=WIDTH)
    console.print(
        _pairs(
            {
                "id": view.id,
                "model": view.model,
                "made": view.created_at,
                "engine": _engine(view),
                "size": f"{size(view.raw_bytes)} ({view.raw_bytes} bytes)",
                "stored": f"{size(view.stored_bytes)} ({view.stored_bytes} bytes)",
                "pause": _pause(view.pause),
                "fits": _FITS[view.fits],
            }
        )
    )
    if view.why:
        console.print(_why(view, view.id))
    for title, values in (("Identity", manifest.identity), ("Facts", manifest.facts)):
        console.print(f"\n{title}", style="bold")
        console.print(_pairs(_flat(values)))
    console.print("\nFiles", style="bold")
    table = _table(("PATH", "KIND", "MODE", "SIZE"))
    for entry in manifest.entries:
        table.add_row(Text(entry.path), entry.kind, f"{entry.mode:04o}", size(entry.size))
    console.print(table)


def print_made(made: Mapping[str, Any]) -> None:
    """A snapshot that has just been made."""
    table = _table(("ID", "MODEL", "SIZE", "STORED", "PAUSE", "TOOK"))
    row = (made["id"], made["model"], size(made["raw_bytes"]), size(made["stored_bytes"]), _pause(made["pause"]))
    table.add_row(*row, f"{made['seconds']:.2f} s")
    Console(highlight=False, width=WIDTH).print(table)


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in _RIGHT else "left", no_wrap=True)
    return table


def _pairs(values: Mapping[str, str | Text]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, value in values.items():
        table.add_row(Text(name), value if isinstance(value, Text) else Text(value))
    return table


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Nested values with their path, one a line."""
    lines: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            lines |= _flat(value, f"{above}{name} ")  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, list | tuple):
            lines[above + name] = " ".join(map(str, value)) or NOTHING  # pyright: ignore[reportUnknownArgumentType]
        else:
            lines[above + name] = NOTHING if value is None else str(value)
    return lines


def _why(view: "SnapshotView", name: str) -> Text:
    what = "does not fit now" if view.fits is False else "may fit or not"
    reasons = "; ".join(reason.rstrip(".") for reason in view.why)
    return Text(f"{name} ({view.model}) {what}: {reasons}", style="yellow" if view.fits is False else "dim")


def _length(ids: Sequence[str]) -> int:
    """Digits that tell the ids apart."""
    hexadecimal = {name for name in ids if "/" not in name}
    longest = max(map(len, hexadecimal), default=_SHORTEST)
    for length in range(_SHORTEST, longest):
        if len({name[:length] for name in hexadecimal}) == len(hexadecimal):
            return length
    return longest


def _when(created_at: str) -> str:
    return f"{datetime.fromisoformat(created_at).astimezone():%Y-%m-%d %H:%M}"


def _engine(view: "SnapshotView") -> str:
    return " ".join(part for part in (view.engine, view.engine_version) if part) or NOTHING


def _pause(seconds: float | None) -> str:
    return NOTHING if seconds is None else f"{seconds:.2f} s"
