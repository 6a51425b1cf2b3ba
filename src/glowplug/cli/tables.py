"""Tables: coloured on a terminal, plain elsewhere, never cut off."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLUMNS = ("MODEL", "ENGINE", "STATE", "FOR", "ACTIVE", "QUEUED", "RAM", "GPU", "LAST WAKE", "REPLICA")
_RIGHT = {"FOR", "ACTIVE", "QUEUED", "RAM", "GPU"}
STYLES = {"running": "green", "asleep": "cyan", "parked": "cyan", "snapshot": "blue", "cached": "dim", "cold": "dim"}
_IN_TRANSITION = "yellow"
NOTHING = "-"
WIDTH = 100_000  # characters; a row too long for the terminal is better wrapped by it than cut off


def print_models(models: Sequence[Mapping[str, Any]]) -> None:
    """One row for each replica, or for a model without one; below them, which tiers are quarantined or closed and why.

    That a model has to be started, or its weights to be fetched first, is nothing to explain.
    """
    console = Console(highlight=False, width=WIDTH)
    rows = [row for model in models for row in _rows(model)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in _COLUMNS:
        if column == "GPU" and all(row[column] == NOTHING for row in rows):
            continue
        table.add_column(column, justify="right" if column in _RIGHT else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(row[str(column.header)] for column in table.columns))
    console.print(table)
    for model in models:
        for tier, reason in model["quarantine"].items():
            console.print(Text(f"{model['name']}: {tier} is not used for now: {reason}", style="red"))
    closed: dict[tuple[str, str], list[str]] = {}
    for model in models:
        for tier, reason in model["closed_tiers"].items():
            if tier not in ("cached", "cold"):
                closed.setdefault((tier, reason), []).append(str(model["name"]))
    for (tier, reason), names in closed.items():
        console.print(Text(f"{', '.join(names)}: {tier} is closed: {reason}", style="dim"))


def duration(seconds: float) -> str:
    """A time in its two largest units."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def size(held: float) -> str:
    """Bytes in the unit that leaves one to three digits before the point."""
    if not held:
        return NOTHING
    for unit in ("B", "KiB", "MiB", "GiB"):
        if held < 1000:
            return f"{held:.3g} {unit}"
        held /= 1024
    return f"{held:.3g} TiB"


def _rows(model: Mapping[str, Any]) -> Iterator[dict[str, str | Text]]:
    wake: Mapping[str, Any] | None = model["last_wake"]
    about: dict[str, str | Text] = {
        "MODEL": f"{model['name']} (pinned)" if model["pin"] else str(model["name"]),
        "ENGINE": str(model["engine"]),
        "QUEUED": str(model["queued"]),
        "LAST WAKE": f"{wake['seconds']:.2f} s from {wake['from']}" if wake else NOTHING,
    }
    if not model["replicas"]:
        yield dict.fromkeys(_COLUMNS, NOTHING) | about | {"STATE": _state(model["tier"]), "ACTIVE": "0"}
    for replica in model["replicas"]:
        memory: Mapping[str, float] = replica["memory"]
        yield about | {
            "STATE": _state(replica["state"]),
            "FOR": duration(replica["since"]),
            "ACTIVE": str(replica["in_flight"]),
            "RAM": size(memory.get("ram", 0)),
            "GPU": size(memory.get("gpu", 0)),
            "REPLICA": str(replica["id"]),
        }


def _state(state: str) -> Text:
    return Text(state, style=STYLES.get(state, _IN_TRANSITION))
