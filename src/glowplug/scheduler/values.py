"""The plain values that the scheduler and everything above it share. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

FOREVER = float("inf")
UNLIMITED = 1 << 62
"""More bytes than there are: the capacity of what is not accounted for."""


class Tier(StrEnum):
    """How warm a replica is, warmest first."""

    RUNNING = "running"
    ASLEEP = "asleep"
    PARKED = "parked"
    SNAPSHOT = "snapshot"
    CACHED = "cached"
    COLD = "cold"

    @property
    def rank(self) -> int:
        """0 for the warmest tier; a larger number is colder."""
        return _RANKS[self]

    @property
    def has_process(self) -> bool:
        """Whether a replica in this tier is a live process tree."""
        return self in (Tier.RUNNING, Tier.ASLEEP, Tier.PARKED)


_RANKS = {tier: rank for rank, tier in enumerate(Tier)}


@dataclass(frozen=True, slots=True)
class Resources:
    """Bytes of host RAM, GPU memory and disk that something holds, needs or offers."""

    ram: int = 0
    gpu: int = 0
    disk: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.ram + other.ram, self.gpu + other.gpu, self.disk + other.disk)

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(self.ram - other.ram, self.gpu - other.gpu, self.disk - other.disk)

    def larger(self, other: "Resources") -> "Resources":
        """Component-wise maximum: what a transition between two tiers may hold at its worst moment."""
        return Resources(max(self.ram, other.ram), max(self.gpu, other.gpu), max(self.disk, other.disk))

    def smaller(self, other: "Resources") -> "Resources":
        """Component-wise minimum."""
        return Resources(min(self.ram, other.ram), min(self.gpu, other.gpu), min(self.disk, other.disk))

    def beyond(self, room: "Resources") -> "Resources":
        """What is missing in `room` for this to fit; nothing exactly where it fits. Never negative."""
        return Resources(
            _beyond(self.ram, room.ram),
            _beyond(self.gpu, room.gpu),
            _beyond(self.disk, room.disk),
        )

    def fits(self, room: "Resources") -> bool:
        """Whether every component is at most that of `room`. A component that asks for nothing always fits."""
        return (
            (self.ram <= 0 or self.ram <= room.ram)
            and (self.gpu <= 0 or self.gpu <= room.gpu)
            and (self.disk <= 0 or self.disk <= room.disk)
        )


def _beyond(wanted: int, room: int) -> int:
    return max(0, wanted - room) if wanted > 0 else 0


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What the scheduler knows of one configured model. Times in seconds.

    `tiers` are the tiers this model may use here, warmest first; the first is `running`, the last is the base tier
    (`cached` or `cold`) in which no process exists. If `snapshot` is among them it is used while there is a snapshot,
    which the node tells. `keep_alive[tier]` is how long an idle replica stays in a tier
    before it is rested to the next one. `declared[tier]` is what a replica is believed to hold until it is measured.
    """

    name: str
    tiers: tuple[Tier, ...] = (Tier.RUNNING, Tier.CACHED)
    keep_alive: Mapping[Tier, float] = field(default_factory=lambda: dict[Tier, float]())
    pin: bool = False
    min_replicas: int = 0
    max_replicas: int = 1
    target_concurrency: int = 8
    max_concurrency: int | None = None
    declared: Mapping[Tier, Resources] = field(default_factory=lambda: dict[Tier, Resources]())
    max_queue: int = 1000
    key_share: float = 1.0
    min_active: float = 0.0

    @property
    def comfortable(self) -> int:
        """Requests at work on one replica before another one wakes."""
        if self.max_concurrency is None:
            return self.target_concurrency
        return min(self.target_concurrency, self.max_concurrency)

    @property
    def base(self) -> Tier:
        """The coldest tier of this model, where a replica is nothing but a name."""
        return self.tiers[-1]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One rung that was tried for a wake, and why it failed."""

    tier: Tier
    reason: str
