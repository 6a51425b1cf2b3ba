"""The scheduler: events in, effects out. No I/O, no clock, no awaits; `now` is an argument (seconds, monotonic).

`handle` books what happened (`admission` for requests, `moves` for replicas) and then looks at the models concerned:
`_settle` is idempotent and decides everything from the present state, so a timer needs no meaning of its own.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glowplug.scheduler.admission import Admission
from glowplug.scheduler.costs import WakeCosts
from glowplug.scheduler.effects import Drained, Effect, Refused, RejectKind
from glowplug.scheduler.events import (
    DrainAsked,
    Event,
    ImagesHeld,
    MemoryMeasured,
    ModelsChanged,
    ReplicaChecked,
    ReplicaExited,
    RequestArrived,
    RequestEnded,
    RestartAsked,
    RestAsked,
    SnapshotGone,
    SnapshotReady,
    TimerFired,
    TransitionEnded,
)
from glowplug.scheduler.fleet import Fleet
from glowplug.scheduler.limits import Patience
from glowplug.scheduler.moves import Moves
from glowplug.scheduler.policies.base import Policy
from glowplug.scheduler.policies.fixed import FixedPolicy
from glowplug.scheduler.room import Room
from glowplug.scheduler.snapshots import Snapshots
from glowplug.scheduler.state import Model, Replica
from glowplug.scheduler.values import ModelSpec, Resources, Tier


class Scheduler:
    """Decides for one node. Give it every event, carry out every effect, and call it again at `next_timer`.

    `key_shares` are the parts of a model's queue that single API keys may fill, where they differ from the model's
    `key_share`.
    """

    def __init__(
        self,
        capacity: Resources,
        policy: Policy | None = None,
        costs: WakeCosts | None = None,
        patience: Patience | None = None,
        key_shares: Mapping[str, float] | None = None,
    ) -> None:
        self._fleet = Fleet(
            capacity, policy or FixedPolicy(), costs or WakeCosts(), patience or Patience(), key_shares or {}
        )
        self._admission = Admission(self._fleet)
        self._room = Room(self._fleet)
        self._snapshots = Snapshots(self._fleet)
        self._moves = Moves(self._fleet, self._admission, self._room, self._snapshots)
        self._drained = False
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            RequestArrived: self._on_arrival,
            RequestEnded: self._on_end,
            TransitionEnded: self._on_transition_ended,
            ReplicaExited: self._on_exited,
            ReplicaChecked: self._on_checked,
            MemoryMeasured: self._on_measured,
            SnapshotReady: self._on_snapshot_ready,
            SnapshotGone: self._on_snapshot_gone,
            ImagesHeld: self._on_images_held,
            TimerFired: self._on_timer,
            RestAsked: self._on_rest_asked,
            RestartAsked: self._on_restart_asked,
            ModelsChanged: self._on_models_changed,
            DrainAsked: self._on_drain_asked,
        }

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event and return what is to be done, in order."""
        out: list[Effect] = []
        self._fleet.out = out
        self._handlers[type(event)](event, now)
        return out

    def next_timer(self) -> float | None:
        """When to send `TimerFired` if nothing else happens before; None for never."""
        return self._fleet.timers.next()

    @property
    def models(self) -> Sequence[Model]:
        """The state of all models, for display only."""
        return tuple(self._fleet.models.values())

    @property
    def held(self) -> Resources:
        """Memory and disk that replicas, snapshots and resident images are charged for, for display only."""
        return self._fleet.ledger.held

    @property
    def capacity(self) -> Resources:
        """Memory that replicas may hold."""
        return self._fleet.ledger.capacity

    def knows(self, replica_id: str) -> bool:
        """Whether there is such a replica (still)."""
        return replica_id in self._fleet.replicas

    def charged(self, replica_id: str) -> Resources:
        """Memory that one replica is charged for, for display only."""
        return self._fleet.ledger.charged(replica_id)

    def snapshot(self, model: str) -> Resources | None:
        """What the published snapshot of a model is charged for; None if there is none. For display only."""
        return self._fleet.ledger.snapshot(model)

    @property
    def images(self) -> Resources:
        """What resident images are charged for, for display only."""
        return self._fleet.ledger.images

    def _on_arrival(self, event: RequestArrived, now: float) -> None:
        model = self._admission.arrive(event, now)
        if model is not None:
            self._settle(model, now)

    def _on_end(self, event: RequestEnded, now: float) -> None:
        model = self._admission.end(event, now)
        if model is not None:
            self._look_at(model, now)

    def _on_transition_ended(self, event: TransitionEnded, now: float) -> None:
        self._look_at(self._moves.ended(event, now), now)

    def _on_exited(self, event: ReplicaExited, now: float) -> None:
        self._look_at(self._moves.exited(event, now), now)

    def _on_checked(self, event: ReplicaChecked, now: float) -> None:
        replica = self._fleet.replicas.get(event.replica_id)
        if replica is not None and replica.suspect:
            replica.suspect = False
            self._look_at(self._fleet.models[replica.model], now)

    def _on_measured(self, event: MemoryMeasured, now: float) -> None:
        replica = self._fleet.replicas.get(event.replica_id)
        if replica is None or replica.tier is not event.tier or replica.transition is not None:
            return
        model = self._fleet.models[replica.model]
        self._fleet.ledger.measure(model.spec, event.tier, event.held)
        self._fleet.ledger.charge(replica.id, event.held)
        self._look_at(model, now)

    def _on_snapshot_ready(self, event: SnapshotReady, now: float) -> None:
        self._look_at(self._snapshots.ready(event), now)

    def _on_snapshot_gone(self, event: SnapshotGone, now: float) -> None:
        self._look_at(self._snapshots.gone(event, now), now)

    def _on_images_held(self, event: ImagesHeld, now: float) -> None:
        self._room.images_held(event.held)
        self._settle_blocked(now)
        self._moves.relieve(now)

    def _on_timer(self, event: TimerFired, now: float) -> None:
        for name in self._fleet.timers.due(now):
            self._look_at(self._fleet.models.get(name), now)

    def _on_rest_asked(self, event: RestAsked, now: float) -> None:
        model = self._model_at_rest(event.model)
        if model is None:
            return
        if event.tier is not None and (event.tier not in model.spec.tiers or event.tier is Tier.RUNNING):
            tiers = ", ".join(model.spec.tiers[1:])
            self._refuse(f"model {model.name!r} cannot rest in {event.tier}; it can in: {tiers}")
            return
        if event.tier is Tier.SNAPSHOT and Tier.SNAPSHOT not in model.colder_tiers(Tier.RUNNING, now):
            self._refuse(self._why_no_snapshot(model))
            return
        if model.floor:
            self._refuse(f"model {model.name!r} is kept running (pin or replicas.min); change its configuration first")
            return
        # One step colder is for those with a process; only when there are none, all leave the snapshot together.
        moved = [r for r in model.replicas if event.tier is not None or r.tier.has_process] or model.replicas
        for replica in moved:
            colder = model.colder_tiers(replica.tier, now)
            target = event.tier or (colder[0] if colder else replica.tier)
            if target.rank > replica.tier.rank:
                if model.snapshot is not None and target is model.spec.base:
                    model.snapshot.let_go = event.tier is target or replica.tier is Tier.SNAPSHOT
                self._moves.rest(replica, target, now)

    def _on_restart_asked(self, event: RestartAsked, now: float) -> None:
        model = self._model_at_rest(event.model)
        if model is None:
            return
        self._fleet.ledger.forget(model.name)
        model.quarantines.clear()
        model.tried.clear()
        model.failures, model.retry_at = 0, -math.inf
        if model.snapshot is not None:
            model.snapshot.passed_over = False
        for replica in model.replicas:
            if replica.tier.has_process:
                self._moves.rest(replica, model.spec.base, now)
        self._settle(model, now)

    def _on_models_changed(self, event: ModelsChanged, now: float) -> None:
        fleet = self._fleet
        if event.capacity is not None:
            fleet.ledger.capacity = event.capacity
        if event.key_shares is not None:
            fleet.key_shares = event.key_shares
        specs = {spec.name: spec for spec in event.models}
        for model in fleet.models.values():
            if model.name not in specs and not model.gone:
                model.gone = True
                message = f"model {model.name!r} was removed from the configuration"
                self._admission.reject_all(model, RejectKind.UNKNOWN_MODEL, message)
        for spec in event.models:
            self._take_over(spec, relaunch=spec.name in event.relaunch, now=now)
        for model in list(fleet.models.values()):
            self._look_at(model, now)

    def _take_over(self, spec: ModelSpec, *, relaunch: bool, now: float) -> None:
        fleet = self._fleet
        model = fleet.models.get(spec.name)
        if model is None:
            fleet.add_model(spec, now)
            return
        old_base = model.spec.base
        relaunch = relaunch or model.gone  # what it was when it was removed is not known any more
        model.spec, model.gone = spec, False
        for replica in model.replicas:
            if replica.tier is old_base and replica.transition is None:
                replica.tier = spec.base
        if relaunch:
            fleet.ledger.forget(spec.name)
            model.quarantines.clear()
            model.failures, model.retry_at = 0, -math.inf
            for replica in model.replicas:
                replica.stale = replica.tier.has_process or replica.transition is not None

    def _on_drain_asked(self, event: DrainAsked, now: float) -> None:
        self._fleet.draining = True
        for model in list(self._fleet.models.values()):
            self._admission.reject_all(model, RejectKind.SHUTTING_DOWN, "the server is shutting down")
            self._settle(model, now)
        self._end_drain()

    def _look_at(self, model: Model | None, now: float) -> None:
        """After something happened to a model: decide for it, then for those that wait for memory."""
        if model is not None:
            self._settle(model, now)
            self._settle_blocked(now)
            self._moves.relieve(now)

    def _settle_blocked(self, now: float) -> None:
        """Look at the models that wait for memory, the longest waiting first."""
        for model in sorted(self._fleet.blocked.values(), key=lambda m: m.queue.oldest()):
            self._settle(model, now)

    def _settle(self, model: Model, now: float) -> None:
        """Decide everything about one model from its present state."""
        self._admission.expire(model, now)
        if model.snapshot is not None and not self._wanted(model):
            model.snapshot.passed_over = False
        self._snapshots.place(model, now)
        if self._fleet.draining:
            self._drain(model, now)
            return
        self._moves.retire(model, now)
        if model.gone and not model.replicas:
            self._fleet.models.pop(model.name, None)
            self._room.release(model)
            return
        self._admission.grant_waiting(model, now)
        missing = self._wanted(model) - self._coming(model)
        while missing > 0 and self._moves.wake_one(model, now):
            missing -= 1
        if missing <= 0:
            self._room.release(model)
        self._moves.rest_idle(model, now)
        self._fleet.timers.arm(model.name, model.queue.next_deadline())

    def _wanted(self, model: Model) -> int:
        """How many replicas should run. A cold model wakes one, however many requests wait; more follow its load."""
        if model.gone:
            return 0
        serving = [replica for replica in model.replicas if replica.serves]
        load = sum(len(replica.leases) for replica in serving) + len(model.queue)
        wanted = 0 if load == 0 else 1 if not serving else math.ceil(load / model.spec.comfortable)
        return min(max(wanted, model.floor), model.spec.max_replicas)

    def _coming(self, model: Model) -> int:
        """How many replicas serve or will. A suspect one may turn out to be dead, so it does not count."""
        return sum(
            1
            for replica in model.replicas
            if not (replica.stale or replica.suspect)
            and (replica.tier is Tier.RUNNING if replica.transition is None else replica.transition.is_wake)
        )

    def _drain(self, model: Model, now: float) -> None:
        self._room.release(model)
        for replica in model.replicas:
            if replica.idle and replica.tier.has_process:
                self._moves.rest(replica, model.spec.base, now)
            elif replica.transition is not None and replica.transition.is_wake:
                self._moves.call_off(replica)
        self._end_drain()

    def _end_drain(self) -> None:
        busy = any(r.leases or r.transition or r.tier.has_process for r in self._fleet.replicas.values())
        if not busy and not self._drained:
            self._drained = True
            self._fleet.out.append(Drained())

    def _model_at_rest(self, name: str) -> Model | None:
        """The model an operator wants to move, if none of its replicas is busy or on its way."""
        model = self._fleet.models.get(name)
        if model is None or model.gone:
            self._refuse(f"model {name!r} is not configured")
            return None
        busy = [replica for replica in model.replicas if not replica.idle]
        if busy or model.queue:
            what = self._describe(busy[0]) if busy else f"has {len(model.queue)} requests waiting"
            self._refuse(f"model {name!r} {what}; try again when it is idle")
            return None
        return model

    def _why_no_snapshot(self, model: Model) -> str:
        if model.snapshot is None:
            return f"model {model.name!r} has no snapshot yet; one is made at its next start"
        reason = model.quarantines[Tier.SNAPSHOT].reason
        return f"the snapshot of model {model.name!r} failed repeatedly and is not used for now: {reason}"

    def _describe(self, replica: Replica) -> str:
        if replica.transition is not None:
            return f"is on its way ({replica.state})"
        return f"is busy with {len(replica.leases)} requests"

    def _refuse(self, message: str) -> None:
        self._fleet.out.append(Refused(message))
