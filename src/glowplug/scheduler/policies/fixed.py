"""The policy every system in this field ships: a fixed time to live per tier. Evicts what is cheapest to bring back."""

from collections.abc import Sequence

from glowplug.scheduler.policies.base import Eviction, Idle
from glowplug.scheduler.values import Resources


class FixedPolicy:
    """Time to live per tier, as configured."""

    def rest_at(self, idle: Idle, now: float) -> float:
        """The configured keep-alive after the last request."""
        return idle.idle_since + idle.keep_alive

    def evict(self, options: Sequence[Eviction], shortfall: Resources) -> Sequence[Eviction]:
        """Cheapest wake first, longest idle first among equals; then drops what turned out not to be needed."""
        chosen: dict[str, Eviction] = {}
        for option in sorted(options, key=lambda o: (o.wake_seconds, o.idle_since)):
            before = chosen.get(option.replica_id)
            if not _helps(option.freed, before.freed if before else Resources(), shortfall):
                continue
            chosen[option.replica_id] = option
            if shortfall.fits(_freed(chosen)):
                return _needed(chosen, shortfall)
        return ()


def _helps(freed: Resources, already: Resources, shortfall: Resources) -> bool:
    return (
        (shortfall.ram > 0 and freed.ram > already.ram)
        or (shortfall.gpu > 0 and freed.gpu > already.gpu)
        or (shortfall.disk > 0 and freed.disk > already.disk)
    )


def _freed(chosen: dict[str, Eviction]) -> Resources:
    return sum((eviction.freed for eviction in chosen.values()), Resources())


def _needed(chosen: dict[str, Eviction], shortfall: Resources) -> Sequence[Eviction]:
    for eviction in sorted(chosen.values(), key=lambda e: -e.wake_seconds):
        rest = {replica: e for replica, e in chosen.items() if replica != eviction.replica_id}
        if shortfall.fits(_freed(rest)):
            chosen = rest
    return tuple(chosen.values())
