"""The scheduler's own state of a model and its replicas. Nobody else writes it; others may read it for display."""

import math
from dataclasses import dataclass, field

from glowplug.scheduler.queue import FairQueue
from glowplug.scheduler.values import FOREVER, Attempt, ModelSpec, Resources, Tier


@dataclass(frozen=True, slots=True)
class Transition:
    """A wake (`target` is running) or a rest that is under way."""

    id: int
    source: Tier
    target: Tier
    started: float

    @property
    def is_wake(self) -> bool:
        """Whether it brings the replica to running."""
        return self.target is Tier.RUNNING

    def __str__(self) -> str:
        return f"waking:{self.source}" if self.is_wake else f"resting:{self.target}"


@dataclass(slots=True)
class Replica:
    """A replica is in exactly one tier, or, while `transition` is set, on its way out of `tier`.

    During a transition, `called_off` says that its wake is not wanted any more, `ended` that its engine ended by
    itself.
    """

    id: str
    model: str
    tier: Tier
    since: float
    transition: Transition | None = None
    address: str = ""
    woke_from: Tier = Tier.RUNNING
    leases: set[int] = field(default_factory=lambda: set[int]())
    idle_since: float = 0.0
    served: bool = False
    suspect: bool = False
    stale: bool = False
    called_off: bool = False
    ended: bool = False

    @property
    def state(self) -> str:
        """For display: the tier, or the transition."""
        return str(self.transition or self.tier)

    @property
    def serves(self) -> bool:
        """Whether new requests may be granted to it."""
        return self.tier is Tier.RUNNING and self.transition is None and not self.suspect and not self.stale

    @property
    def idle(self) -> bool:
        """Whether it could be moved: no request, no transition, no check under way."""
        return not self.leases and self.transition is None and not self.suspect


@dataclass(slots=True)
class Quarantine:
    """A tier that failed repeatedly and is not used before `until`. `failures` in a row make the time grow."""

    failures: int = 0
    until: float = -math.inf
    reason: str = ""


@dataclass(slots=True)
class Snapshot:
    """The published snapshot of a model, and why its replicas are kept out of it.

    `passed_over`: a restore failed, so the wake that it was for goes on from the base tier. `let_go`: its keep-alive
    has ended, or an operator rested the model colder; until a replica runs again nobody goes back to it.
    """

    passed_over: bool = False
    let_go: bool = False


@dataclass(slots=True)
class Model:
    """One configured model.

    `failures` counts starts that failed, or engines that crashed before they served anything, in a row; the base tier
    is not used before `retry_at`. `tried` are the rungs that failed since the last success. `reservation` is the
    memory that others are being evicted to free for its next wake. `snapshot` is None while there is none.
    """

    spec: ModelSpec
    replicas: list[Replica]
    queue: FairQueue = field(default_factory=FairQueue)
    quarantines: dict[Tier, Quarantine] = field(default_factory=lambda: dict[Tier, Quarantine]())
    tried: list[Attempt] = field(default_factory=lambda: list[Attempt]())
    failures: int = 0
    retry_at: float = -math.inf
    reservation: Resources | None = None
    snapshot: Snapshot | None = None
    gone: bool = False

    @property
    def name(self) -> str:
        """The configured name."""
        return self.spec.name

    def closed_until(self, tier: Tier, now: float) -> float:
        """Until when a tier is quarantined; `-inf` if it is open."""
        quarantine = self.quarantines.get(tier)
        return quarantine.until if quarantine and quarantine.until > now else -math.inf

    def colder_tiers(self, tier: Tier, now: float) -> list[Tier]:
        """The tiers of this model below `tier` that are open now, warmest first. The base tier is always open, and
        `snapshot` only while there is one."""
        return [t for t in self.spec.tiers if t.rank > tier.rank and self._open(t, now)]

    def home(self, now: float) -> Tier:
        """The tier of a replica that has no process: `snapshot` if it would be woken from it, else the base tier."""
        snapshot = self.snapshot
        if snapshot is None or snapshot.passed_over or snapshot.let_go or Tier.SNAPSHOT not in self.spec.tiers:
            return self.spec.base
        return Tier.SNAPSHOT if self._open(Tier.SNAPSHOT, now) else self.spec.base

    def keep_alive(self, tier: Tier) -> float:
        """Seconds that an idle replica stays in `tier`."""
        return self.spec.keep_alive.get(tier, FOREVER)

    @property
    def floor(self) -> int:
        """Replicas that are kept running without requests."""
        return 0 if self.gone else max(self.spec.min_replicas, 1 if self.spec.pin else 0)

    def _open(self, tier: Tier, now: float) -> bool:
        if tier is self.spec.base:
            return True
        return (tier is not Tier.SNAPSHOT or self.snapshot is not None) and self.closed_until(tier, now) <= now
