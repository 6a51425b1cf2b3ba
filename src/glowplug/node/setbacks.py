"""How often snapshots of a model have failed in a row, and for how long no new one is made."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from glowplug.scheduler.limits import Patience

_PATIENCE = Patience(quarantine=60.0, quarantine_max=86400.0)
"""Seconds. A dump that fails costs a start a few of them, or all of it, and a bad image costs a request."""


@dataclass(slots=True)
class _Row:
    failures: int = 0
    until: float = 0.0
    reason: str = ""


class Setbacks:
    """By model. `now` is the clock, in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._rows: dict[str, _Row] = {}

    def failed(self, model: str, reason: str) -> None:
        """A dump came to nothing and left the engine unharmed, or an image was bad."""
        row = self._rows.setdefault(model, _Row())
        self._count(row, row.failures + 1, reason)

    def harmed(self, model: str, reason: str) -> None:
        """A dump cost the engine its life, and so a start. The next start is not to end so, too."""
        row = self._rows.setdefault(model, _Row())
        self._count(row, max(row.failures + 1, _PATIENCE.max_failures), reason)

    def succeeded(self, model: str) -> None:
        """An image was restored and gave the right answer."""
        self._rows.pop(model, None)

    def waiting(self, model: str) -> str | None:
        """Why no snapshot of a model is made for now; None if one may be."""
        row = self._rows.get(model)
        return row.reason if row is not None and row.until > self._now() else None

    def _count(self, row: _Row, failures: int, reason: str) -> None:
        row.failures, row.reason = failures, reason
        row.until = self._now() + _PATIENCE.quarantine_after(failures)
