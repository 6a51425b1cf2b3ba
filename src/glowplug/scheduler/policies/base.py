"""What a policy decides: when an idle replica rests, and who makes room. Pure: `now` is an argument."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from glowplug.scheduler.values import Resources, Tier


@dataclass(frozen=True, slots=True)
class Idle:
    """An idle replica as a policy sees it. Times in seconds; `keep_alive` is what is configured for its tier."""

    replica_id: str
    model: str
    tier: Tier
    idle_since: float
    keep_alive: float


@dataclass(frozen=True, slots=True)
class Eviction:
    """One way to make room: rest `replica_id` to `target`, which frees `freed` and costs `wake_seconds` to undo."""

    replica_id: str
    target: Tier
    freed: Resources
    wake_seconds: float
    idle_since: float


class Policy(Protocol):
    """One way to decide."""

    def rest_at(self, idle: Idle, now: float) -> float:
        """When this replica should rest if nothing arrives before; infinity for never."""
        ...

    def evict(self, options: Sequence[Eviction], shortfall: Resources) -> Sequence[Eviction]:
        """Choose evictions, at most one per replica, that together free `shortfall`; empty if none do.

        Components of `shortfall` that are zero or less are not short.
        """
        ...
