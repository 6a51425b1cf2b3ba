"""What can happen to the scheduler. Every change of its state is the answer to one of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from glowplug.scheduler.values import ModelSpec, Resources, Tier


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A client asks for `model`. `deadline` is an absolute time on the scheduler's clock, or None for no limit."""

    request_id: int
    model: str
    key: str = ""
    deadline: float | None = None


class Outcome(Enum):
    """How a request's share of a replica ended."""

    SERVED = "served"
    """The engine answered it, whatever the status: proof that the replica works."""
    LOST = "lost"
    """The engine broke off before it answered: the replica is suspect."""
    LEFT = "left"
    """The client left, queued or running; this says nothing about the replica."""


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """The request is over: it leaves the queue, or gives its share of a replica back."""

    request_id: int
    outcome: Outcome = Outcome.SERVED


@dataclass(frozen=True, slots=True)
class TransitionEnded:
    """The node finished a wake or a rest, well or badly.

    `landed` is the tier in which the replica really is now: the target if all went well; otherwise the tier it could
    be brought back to, mostly the base tier because what fails is torn down whole. `error` is None on success.
    `address` is the base URL of a running engine. `measured` is what the replica holds in `landed`, if it was measured.
    """

    replica_id: str
    transition_id: int
    landed: Tier
    error: str | None = None
    address: str | None = None
    measured: Resources | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ReplicaExited:
    """The engine of a replica that was in a tier (not in a transition) ended by itself and was cleaned up."""

    replica_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReplicaChecked:
    """A suspect replica gave a real answer again. (One that did not is reported as `ReplicaExited`.)"""

    replica_id: str


@dataclass(frozen=True, slots=True)
class MemoryMeasured:
    """What a replica really holds in the tier it is in."""

    replica_id: str
    tier: Tier
    held: Resources


@dataclass(frozen=True, slots=True)
class SnapshotReady:
    """A snapshot of `model` is published on this node, whether or not the model is configured (yet).

    `held` is what the snapshot itself takes (disk), once for all replicas. Those without a process rest in it from now
    on. Sent again for one that replaces it.
    """

    model: str
    held: Resources


@dataclass(frozen=True, slots=True)
class SnapshotGone:
    """The snapshot of `model` is no more, fits no more, or is not worth it. `reason` is one sentence."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImagesHeld:
    """What resident images, ready to be restored, hold on this node altogether.

    Sent when it has changed, and as the answer to every `ReleaseImages`, even if that released nothing.
    """

    held: Resources


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time that `Scheduler.next_timer` named has come."""


@dataclass(frozen=True, slots=True)
class RestAsked:
    """An operator wants the replicas of `model` rested to `tier` (None: one step colder). Refused if one is busy."""

    model: str
    tier: Tier | None = None


@dataclass(frozen=True, slots=True)
class RestartAsked:
    """An operator wants the processes of `model` ended and its quarantines forgotten. Refused if one is busy."""

    model: str


@dataclass(frozen=True, slots=True)
class ModelsChanged:
    """The configuration was read (again). Models that are gone are drained.

    `relaunch` names models whose engine must be started anew to follow the change: their replicas take no further
    requests and are ended once idle. `key_shares` replaces the parts of the queue that single API keys may fill.
    """

    models: Sequence[ModelSpec]
    relaunch: frozenset[str] = frozenset()
    key_shares: Mapping[str, float] | None = None
    capacity: Resources | None = None


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """The server shuts down: nothing new is accepted, what runs is finished, then everything is stopped."""


Event = (
    RequestArrived
    | RequestEnded
    | TransitionEnded
    | ReplicaExited
    | ReplicaChecked
    | MemoryMeasured
    | SnapshotReady
    | SnapshotGone
    | ImagesHeld
    | TimerFired
    | RestAsked
    | RestartAsked
    | ModelsChanged
    | DrainAsked
)
