"""What came of a wake or a rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glowplug.scheduler.values import Resources, Tier


@dataclass(frozen=True, slots=True)
class Landed:
    """Where a replica is after a transition.

    `tier` is the target if all went well, with `error` None; else the tier it is really in: where it came from if the
    failure left it unharmed, mostly the base tier. `address` is the base URL of a running engine. `measured` is what
    the replica holds, None if unknown. `seconds` is how long it took. `cold_start` is the record of a wake.
    """

    tier: Tier
    seconds: float
    error: str | None = None
    address: str | None = None
    measured: Resources | None = None
    cold_start: Mapping[str, Any] | None = None
