"""Tables: coloured on a terminal, plain and never cut off elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLUMNS = ("MODEL", "ENGINE", "STATE", "FOR", "ACTIVE", "QUEUED", "RAM", "GPU", "LAST WAKE", "REPLICA")
_RIGHT = {"FOR", "ACTIVE", "QUEUED", "RAM", "GPU"}
_STYLES = {"running": "green", "asleep": "cyan", "parked": "cyan", "snapshot": "blue", "cached": "dim", "cold": "dim"}
_IN_TRANSITION = "yellow"
_NOTHING = "-"
_PIPE_WIDTH = 100_000  # characters; a pipe has no edge at which to break


def print_models(models: Sequence[Mapping[str, Any]]) -> None:
    """One row for each replica, or for a model without one; below them, which tiers are quarantined and why."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column in _RIGHT else "left", no_wrap=not console.is_terminal)
    for model in models:
        for row in _rows(model):
            table.add_row(*row)
    console.print(table)
    for model in models:
        for tier, reason in model["quarantine"].items():
            console.print(Text(f"{model['name']}: {tier} is not used for now: {reason}", style="red"))


def duration(seconds: float) -> str:
    """A time in its two largest units."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    for large, small, length, part in (("m", "s", 60, 1), ("h", "m", 3600, 60), ("d", "h", 86400, 3600)):
        if whole < length * (24 if large == "h" else 60) or large == "d":
            return f"{whole // length}{large}{whole % length // part:02d}{small}"
    raise AssertionError


def size(held: float) -> str:
    """Bytes in the unit that leaves one to three digits before the point."""
    if not held:
        return _NOTHING
    for unit in ("B", "KiB", "MiB", "GiB"):
        if held < 1000:
            return f"{held:.3g} {unit}"
        held /= 1024
    return f"{held:.3g} TiB"


def _rows(model: Mapping[str, Any]) -> Iterator[list[str | Text]]:
    wake: Mapping[str, Any] | None = model["last_wake"]
    last_wake = f"{wake['seconds']:.2f} s from {wake['from']}" if wake else _NOTHING
    name = f"{model['name']} (pinned)" if model["pin"] else str(model["name"])
    queued = str(model["queued"])
    if not model["replicas"]:
        nothing = [_NOTHING, "0", queued, _NOTHING, _NOTHING, last_wake, _NOTHING]
        yield [name, model["engine"], _state(model["tier"]), *nothing]
    for replica in model["replicas"]:
        memory: Mapping[str, float] = replica["memory"]
        yield [
            name,
            model["engine"],
            _state(replica["state"]),
            duration(replica["since"]),
            str(replica["in_flight"]),
            queued,
            size(memory.get("ram", 0)),
            size(memory.get("gpu", 0)),
            last_wake,
            replica["id"],
        ]


def _state(state: str) -> Text:
    return Text(state, style=_STYLES.get(state, _IN_TRANSITION))
