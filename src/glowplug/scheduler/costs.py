"""How long a wake from each tier takes, per model: measured, with a prior until it is."""

from collections import deque
from statistics import median

from glowplug.scheduler.values import Tier

WINDOW = 9
"""Wakes that are remembered. The median of nine ignores up to four outliers and still follows a real change."""

PRIOR = {
    Tier.RUNNING: 0.0,
    Tier.ASLEEP: 2.0,
    Tier.PARKED: 0.5,
    Tier.SNAPSHOT: 5.0,
    Tier.CACHED: 60.0,
    Tier.COLD: 300.0,
}
"""Seconds assumed before the first measurement: the order of magnitude seen with vLLM on one GPU. Only their order
matters for choosing, and only until the first wake."""


class WakeCosts:
    """Wake times in seconds by model and tier."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, Tier], deque[float]] = {}

    def record(self, model: str, tier: Tier, seconds: float) -> None:
        """Add one measured wake from `tier`."""
        self._seen.setdefault((model, tier), deque(maxlen=WINDOW)).append(seconds)

    def estimate(self, model: str, tier: Tier) -> float:
        """Expected seconds of the next wake from `tier`."""
        seen = self._seen.get((model, tier))
        return median(seen) if seen else PRIOR[tier]
