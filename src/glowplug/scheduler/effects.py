"""What the scheduler wants done. Effects are carried out elsewhere; slow ones report back as events."""

from dataclasses import dataclass
from enum import StrEnum

from glowplug.scheduler.values import Attempt, Resources, Tier


@dataclass(frozen=True, slots=True)
class Grant:
    """The request may go to the engine at `address`.

    `woke_from` is the tier that its replica was woken from for this request, or `running`; `waited` is in seconds.
    """

    request_id: int
    replica_id: str
    address: str
    woke_from: Tier
    waited: float


class RejectKind(StrEnum):
    """Why a request was not granted."""

    UNKNOWN_MODEL = "unknown_model"
    QUEUE_FULL = "queue_full"
    DEADLINE = "deadline"
    WAKE_FAILED = "wake_failed"
    QUARANTINED = "quarantined"
    TOO_LARGE = "too_large"
    SHUTTING_DOWN = "shutting_down"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reject:
    """The request ends with an error. `retry_after` (seconds) says when trying again makes sense, if it does."""

    request_id: int
    kind: RejectKind
    message: str
    retry_after: float | None = None
    tried: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Wake:
    """Bring a replica from `source` to running; report `TransitionEnded`."""

    replica_id: str
    model: str
    transition_id: int
    source: Tier


@dataclass(frozen=True, slots=True)
class Rest:
    """Bring a replica from `source` to the colder `target`; report `TransitionEnded`.

    A rest from `snapshot` is asked of all replicas of the model that are there, when none has a process: nobody wants
    the snapshot any more, and the node may delete it.
    """

    replica_id: str
    model: str
    transition_id: int
    source: Tier
    target: Tier


@dataclass(frozen=True, slots=True)
class ReleaseImages:
    """Give up resident images worth at least `shortfall`, or all that are not in use; report `ImagesHeld`."""

    shortfall: Resources


@dataclass(frozen=True, slots=True)
class Abort:
    """Nobody wants the wake of this replica any more: end it. `TransitionEnded` still reports where that led."""

    replica_id: str


@dataclass(frozen=True, slots=True)
class Check:
    """A request was lost on this replica: ask it for a real answer; report `ReplicaChecked` or `ReplicaExited`."""

    replica_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An operator's wish (`RestAsked`, `RestartAsked`) is not carried out."""

    message: str


@dataclass(frozen=True, slots=True)
class TierChanged:
    """For display only: a replica left the tier `origin`, or arrived in another (or back in it).

    `before` and `after` are states: a tier, or a transition written `waking:parked` (from) or `resting:parked` (to).
    """

    replica_id: str
    model: str
    origin: Tier
    before: str
    after: str
    seconds: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """After `DrainAsked`: no request and no process is left."""


Effect = Grant | Reject | Wake | Rest | ReleaseImages | Abort | Check | Refused | TierChanged | Drained
