"""Wakes and rests: which replica, whether there is room, who makes room, and what a failure leads to."""

from glowplug.scheduler.admission import Admission
from glowplug.scheduler.effects import Abort, RejectKind, Rest, TierChanged, Wake
from glowplug.scheduler.events import ReplicaExited, TransitionEnded
from glowplug.scheduler.fleet import Fleet
from glowplug.scheduler.policies.base import Idle
from glowplug.scheduler.room import Room
from glowplug.scheduler.snapshots import Snapshots
from glowplug.scheduler.state import Model, Quarantine, Replica, Transition
from glowplug.scheduler.values import UNLIMITED, Attempt, Resources, Tier


class Moves:
    """The replica side of the scheduler."""

    def __init__(self, fleet: Fleet, admission: Admission, room: Room, snapshots: Snapshots) -> None:
        self._fleet = fleet
        self._admission = admission
        self._room = room
        self._snapshots = snapshots

    def wake_one(self, model: Model, now: float) -> bool:
        """Begin the cheapest wake of this model. Returns whether one was begun; else a later event or timer retries."""
        fleet = self._fleet
        resting = [r for r in model.replicas if r.transition is None and r.tier is not Tier.RUNNING]
        if not resting:
            return False
        replica = min(resting, key=lambda r: r.tier.rank)
        if replica.tier is model.spec.base and not self._base_open(model, now):
            return False
        need = fleet.ledger.need(model.spec, Tier.RUNNING)
        if not need.fits(fleet.ledger.capacity):
            self._room.release(model)
            if not any(r.tier is Tier.RUNNING for r in model.replicas):
                measured = " (measured)" if fleet.ledger.measured(model.spec, Tier.RUNNING) else ""
                message = (
                    f"model {model.name!r} needs {_show(need)}{measured} but this node offers "
                    f"{_show(fleet.ledger.capacity)}; give it more room (node.memory, node.gpu_memory) or a smaller "
                    "context"
                )
                if measured:
                    message += f", then measure again with: glowplug restart {model.name}"
                self._admission.reject_all(model, RejectKind.TOO_LARGE, message)
            return False
        held = fleet.ledger.charged(replica.id)
        extra = held.larger(need) - held
        if not self._room.has(model, extra):
            for eviction in self._room.make(model, extra, now):
                self._begin(fleet.replicas[eviction.replica_id], eviction.target, now)
            return False
        self._room.release(model)
        self._begin(replica, Tier.RUNNING, now)
        return True

    def rest(self, replica: Replica, target: Tier, now: float) -> None:
        """Begin the rest of an idle replica."""
        self._begin(replica, target, now)

    def call_off(self, replica: Replica) -> None:
        """End a wake that nobody wants any more; once."""
        if replica.transition is not None and not replica.called_off:
            replica.called_off = True
            self._fleet.out.append(Abort(replica.id))

    def rest_idle(self, model: Model, now: float) -> None:
        """Rest what was idle for long enough, and arm a timer for what was not."""
        fleet = self._fleet
        running = sum(1 for r in model.replicas if r.tier is Tier.RUNNING and (r.transition is None or r.stale))
        for replica in model.replicas:
            if not replica.idle or not replica.tier.has_process:
                continue
            if replica.tier is Tier.RUNNING and running <= model.floor and not replica.stale:
                continue
            since = replica.idle_since if replica.tier is Tier.RUNNING else replica.since
            at = fleet.policy.rest_at(
                Idle(replica.id, model.name, replica.tier, since, model.keep_alive(replica.tier)), now
            )
            if at > now:
                fleet.timers.arm(model.name, at)
                continue
            running -= replica.tier is Tier.RUNNING
            self._begin(replica, self._next_tier(model, replica, now), now)
        for replica in self._snapshots.let_go(model, now):
            self._begin(replica, model.spec.base, now)

    def retire(self, model: Model, now: float) -> None:
        """End what a changed configuration no longer wants, once it is idle."""
        surplus = len(model.replicas) - (0 if model.gone else model.spec.max_replicas)
        for replica in reversed(model.replicas):
            unwanted = replica.stale or surplus > 0 or replica.tier not in model.spec.tiers
            if unwanted and replica.idle and replica.tier.has_process:
                self._begin(replica, model.spec.base, now)
            surplus -= 1
        self._fleet.fit_replicas(model, now)

    def ended(self, event: TransitionEnded, now: float) -> Model | None:
        """Book the end of a transition. Returns its model, or None if the report is out of date."""
        fleet = self._fleet
        replica = fleet.replicas.get(event.replica_id)
        if replica is None or replica.transition is None or replica.transition.id != event.transition_id:
            return None
        model = fleet.models[replica.model]
        done, before, ended = replica.transition, replica.state, replica.ended
        replica.transition, replica.called_off, replica.ended = None, False, False
        self._settle_in(model, replica, event.landed, now, event.measured)
        if done.source is Tier.SNAPSHOT:
            self._room.restored()
        fleet.out.append(
            TierChanged(
                replica.id, model.name, done.source, before, replica.state, seconds=event.seconds, reason=event.error
            )
        )
        if event.error is not None:
            if done.is_wake or not ended:  # a rest that came too late for the engine says nothing about the tier
                self._failed(model, done, event.error, now)
        elif done.is_wake:
            replica.address = event.address or ""
            replica.woke_from = done.source
            replica.served = False
            fleet.costs.record(model.name, done.source, event.seconds)
            model.tried.clear()
            if model.snapshot is not None:
                model.snapshot.passed_over = model.snapshot.let_go = False
            if done.source is not Tier.SNAPSHOT:  # what came out of a snapshot must serve before it counts as good
                model.quarantines.pop(done.source, None)
        return model

    def exited(self, event: ReplicaExited, now: float) -> Model | None:
        """Book the death of an engine that was in a tier. Where one in transition lands, the transition tells."""
        replica = self._fleet.replicas.get(event.replica_id)
        if replica is None or not replica.tier.has_process:
            return None
        if replica.transition is not None:
            replica.ended = True
            return None
        model = self._fleet.models[replica.model]
        was, bad_restore = replica.tier, replica.woke_from is Tier.SNAPSHOT and not replica.served
        self._settle_in(model, replica, model.spec.base, now, None)
        self._fleet.out.append(TierChanged(replica.id, model.name, was, was, replica.state, reason=event.reason))
        if was is Tier.RUNNING and bad_restore:
            self._warm_wake_failed(model, Attempt(Tier.SNAPSHOT, event.reason), now)
        elif was is Tier.RUNNING:
            if replica.served:
                model.failures = 0
            self._start_failed(model, Attempt(Tier.RUNNING, event.reason), now)
        return model

    def relieve(self, now: float) -> None:
        """Evict idle replicas while measuring has shown that more is held than the node has."""
        for eviction in self._room.relieve(now):
            self._begin(self._fleet.replicas[eviction.replica_id], eviction.target, now)

    def _begin(self, replica: Replica, target: Tier, now: float) -> None:
        fleet = self._fleet
        transition = Transition(fleet.next_transition_id(), replica.tier, target, now)
        fleet.begin(replica, transition)
        if transition.is_wake:
            fleet.out.append(Wake(replica.id, replica.model, transition.id, replica.tier))
        else:
            fleet.out.append(Rest(replica.id, replica.model, transition.id, replica.tier, target))

    def _settle_in(self, model: Model, replica: Replica, tier: Tier, now: float, held: Resources | None) -> None:
        """Put a replica into a tier, with its account."""
        tier = tier if tier in model.spec.tiers or tier.has_process else model.spec.base
        replica.tier = tier
        replica.since = replica.idle_since = now
        if held is not None:
            self._fleet.ledger.measure(model.spec, tier, held)
        self._fleet.ledger.charge(replica.id, self._fleet.ledger.need(model.spec, tier))
        if tier is not Tier.RUNNING:
            replica.leases.clear()
            replica.address = ""
            replica.suspect = False
        if not tier.has_process:
            replica.stale = False

    def _next_tier(self, model: Model, replica: Replica, now: float) -> Tier:
        """The warmest open tier below the present one that there is room for."""
        ledger = self._fleet.ledger
        held = ledger.charged(replica.id)
        for tier in model.colder_tiers(replica.tier, now):
            if (held.larger(ledger.need(model.spec, tier)) - held).fits(ledger.free):
                return tier
        return model.spec.base

    def _base_open(self, model: Model, now: float) -> bool:
        """Whether a start from the base tier may be tried now; arms a timer or turns requests away if not."""
        base = model.spec.base
        until = model.closed_until(base, now)
        if until > now:
            self._fleet.timers.arm(model.name, until)
            if not self._others_may_serve(model, now):
                reason = model.quarantines[base].reason
                message = f"model {model.name!r} failed repeatedly and is not tried again for now: {reason}"
                self._admission.reject_all(model, RejectKind.QUARANTINED, message, retry_after=until - now)
            return False
        if model.retry_at > now:
            self._fleet.timers.arm(model.name, model.retry_at)
            return False
        return True

    def _failed(self, model: Model, done: Transition, reason: str, now: float) -> None:
        """A transition failed: count it against the tier that failed."""
        if done.is_wake:
            attempt = Attempt(done.source, reason)
            if done.source is model.spec.base:
                self._start_failed(model, attempt, now)
            else:
                self._warm_wake_failed(model, attempt, now)
        elif done.target is not model.spec.base:
            self._tier_failed(model, done.target, reason, now)

    def _warm_wake_failed(self, model: Model, attempt: Attempt, now: float) -> None:
        """A wake that needed no start failed: the same requests are served by the next rung."""
        model.tried.append(attempt)
        if attempt.tier is Tier.SNAPSHOT and model.snapshot is not None:
            model.snapshot.passed_over = True
        self._tier_failed(model, attempt.tier, attempt.reason, now)

    def _tier_failed(self, model: Model, tier: Tier, reason: str, now: float) -> None:
        """A tier other than the base failed: after repeated failure it is left out for a while."""
        quarantine = model.quarantines.setdefault(tier, Quarantine())
        quarantine.failures += 1
        quarantine.reason = reason
        closed = self._fleet.patience.quarantine_after(quarantine.failures)
        if closed:
            quarantine.until = now + closed

    def _start_failed(self, model: Model, attempt: Attempt, now: float) -> None:
        """A start failed, or an engine crashed: wait a little, and after repeated failure a lot."""
        patience = self._fleet.patience
        model.tried.append(attempt)
        del model.tried[: -2 * patience.max_failures]
        model.failures += 1
        model.retry_at = now + patience.wait_before_retry(model.failures)
        closed = patience.quarantine_after(model.failures)
        if not closed:
            return
        model.quarantines[model.spec.base] = Quarantine(model.failures, now + closed, attempt.reason)
        self._fleet.timers.arm(model.name, now + closed)
        if not self._others_may_serve(model, now):
            message = f"model {model.name!r} could not be woken"
            self._admission.reject_all(model, RejectKind.WAKE_FAILED, message, retry_after=closed)
            model.tried.clear()
            if model.snapshot is not None:
                model.snapshot.passed_over = False

    def _others_may_serve(self, model: Model, now: float) -> bool:
        """Whether another replica runs, wakes, or can be woken without a start from the base tier."""
        return model.home(now) is not model.spec.base or any(
            r.tier.has_process or (r.transition is not None and r.transition.is_wake) for r in model.replicas
        )


def _show(amount: Resources) -> str:
    kinds = ((amount.ram, "RAM"), (amount.gpu, "GPU memory"))
    parts = [f"{value / 2**30:.2f} GiB {name}" for value, name in kinds if 0 < value < UNLIMITED]
    return " and ".join(parts) or "nothing"
