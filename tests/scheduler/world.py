"""A node in a few lines: carries out the scheduler's effects when the test says so, on a clock the test owns."""

from collections import Counter
from collections.abc import Mapping, Sequence

from glowplug.scheduler.core import Scheduler
from glowplug.scheduler.effects import (
    Abort,
    Check,
    Drained,
    Effect,
    Grant,
    Refused,
    Reject,
    ReleaseImages,
    Rest,
    TierChanged,
    Wake,
)
from glowplug.scheduler.events import (
    Event,
    ImagesHeld,
    ModelsChanged,
    Outcome,
    ReplicaExited,
    RequestArrived,
    RequestEnded,
    SnapshotGone,
    SnapshotReady,
    TimerFired,
    TransitionEnded,
)
from glowplug.scheduler.limits import Patience
from glowplug.scheduler.state import Model, Replica
from glowplug.scheduler.values import ModelSpec, Resources, Tier

GIB = 2**30
R, P, S, C = Tier.RUNNING, Tier.PARKED, Tier.SNAPSHOT, Tier.CACHED


def spec(name: str = "m", **changes: object) -> ModelSpec:
    """A model that may be parked, with one GiB of RAM while its process lives."""
    values: dict[str, object] = {
        "name": name,
        "tiers": (R, P, C),
        "keep_alive": {R: 30.0, P: 600.0},
        "declared": {R: Resources(ram=GIB)},
        **changes,
    }
    return ModelSpec(**values)  # type: ignore[arg-type]


def snapshotted(name: str = "m", **changes: object) -> ModelSpec:
    """A model that may be rested to a snapshot, and not parked."""
    return spec(name, **{"tiers": (R, S, C), "keep_alive": {R: 30.0}, **changes})


class World:
    """One scheduler, its clock, and what it asked for so far."""

    def __init__(
        self,
        *specs: ModelSpec,
        ram: int = 8 * GIB,
        patience: Patience | None = None,
        key_shares: Mapping[str, float] | None = None,
    ) -> None:
        self.now = 100.0
        self.scheduler = Scheduler(Resources(ram=ram), patience=patience, key_shares=key_shares)
        self.pending: dict[str, Wake | Rest] = {}
        self.grants: dict[int, Grant] = {}
        self.rejects: dict[int, Reject] = {}
        self.answers: Counter[int] = Counter()
        self.wakes: list[Wake] = []
        self.rests: list[Rest] = []
        self.aborted: list[str] = []
        self.checks: list[str] = []
        self.released: list[Resources] = []
        self.refused: list[str] = []
        self.changes: list[TierChanged] = []
        self.drained = 0
        self._next_id = 0
        self.send(ModelsChanged(specs))

    def send(self, event: Event) -> Sequence[Effect]:
        """Deliver one event and take in the effects."""
        effects = self.scheduler.handle(event, self.now)
        for effect in effects:
            match effect:
                case Grant():
                    self.grants[effect.request_id] = effect
                    self.answers[effect.request_id] += 1
                case Reject():
                    self.rejects[effect.request_id] = effect
                    self.answers[effect.request_id] += 1
                case Wake() | Rest():
                    assert effect.replica_id not in self.pending, "two transitions on one replica"
                    self.pending[effect.replica_id] = effect
                    (self.wakes if isinstance(effect, Wake) else self.rests).append(effect)  # type: ignore[arg-type]
                case Abort():
                    self.aborted.append(effect.replica_id)
                case Check():
                    self.checks.append(effect.replica_id)
                case ReleaseImages():
                    self.released.append(effect.shortfall)
                case Refused():
                    self.refused.append(effect.message)
                case TierChanged():
                    self.changes.append(effect)
                case Drained():
                    self.drained += 1
        return effects

    def ask(self, model: str = "m", *, key: str = "", timeout: float | None = None) -> int:
        """A client asks; returns the request's id."""
        self._next_id += 1
        deadline = None if timeout is None else self.now + timeout
        self.send(RequestArrived(self._next_id, model, key, deadline))
        return self._next_id

    def end(self, request_id: int, outcome: Outcome = Outcome.SERVED) -> None:
        """The request is over."""
        self.send(RequestEnded(request_id, outcome))

    def finish(self, replica_id: str = "m-0", *, seconds: float = 1.0, measured: Resources | None = None) -> None:
        """The pending transition of a replica ends well."""
        effect = self.pending.pop(replica_id)
        landed = R if isinstance(effect, Wake) else effect.target
        address = f"http://{replica_id}" if landed is R else None
        self.send(TransitionEnded(replica_id, effect.transition_id, landed, None, address, measured, seconds))

    def fail(self, replica_id: str = "m-0", reason: str = "broken", *, landed: Tier = C) -> None:
        """The pending transition of a replica fails and leaves it in `landed`."""
        effect = self.pending.pop(replica_id)
        self.send(TransitionEnded(replica_id, effect.transition_id, landed, reason))

    def exit(self, replica_id: str = "m-0", reason: str = "exited with code 1") -> None:
        """The engine ends by itself."""
        self.send(ReplicaExited(replica_id, reason))

    def snapshot(self, model: str = "m", *, disk: int = GIB) -> None:
        """A snapshot of a model is published."""
        self.send(SnapshotReady(model, Resources(disk=disk)))

    def lose_snapshot(self, model: str = "m", reason: str = "the engine changed") -> None:
        """The snapshot of a model is no more."""
        self.send(SnapshotGone(model, reason))

    def images(self, ram: int) -> None:
        """Resident images hold so much."""
        self.send(ImagesHeld(Resources(ram=ram)))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, firing the scheduler's timers when they are due."""
        end = self.now + seconds
        while (at := self.scheduler.next_timer()) is not None and at <= end:
            self.now = max(self.now, at)
            self.send(TimerFired())
        self.now = end

    def run_up(self, model: str = "m") -> None:
        """Wake a model by a request that is answered."""
        request = self.ask(model)
        self.finish(f"{model}-0")
        self.end(request)

    def model(self, name: str = "m") -> Model:
        """The scheduler's own state of a model."""
        return next(model for model in self.scheduler.models if model.name == name)

    def replica(self, replica_id: str = "m-0") -> Replica:
        """The scheduler's own state of a replica."""
        return next(r for model in self.scheduler.models for r in model.replicas if r.id == replica_id)
