"""Wakes and rests: which replica, whether there is room, who makes room, and what a failure leads to."""

from glowplug.scheduler.admission import Admission
from glowplug.scheduler.effects import Abort, RejectKind, Rest, TierChanged, Wake
from glowplug.scheduler.events import ReplicaExited, TransitionEnded
from glowplug.scheduler.fleet import Fleet
from glowplug.scheduler.policies.base import Eviction, Idle
from glowplug.scheduler.state import Model, Quarantine, Replica, Transition
from glowplug.scheduler.values import UNLIMITED, Attempt, Resources, Tier


class Moves:
    """The replica side of the scheduler."""

    def __init__(self, fleet: Fleet, admission: Admission) -> None:
        self._fleet = fleet
        self._admission = admission

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
            self._unblock(model)
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
        if not extra.fits(fleet.ledger.free - self._reserved_for_others(model)):
            self._make_room(model, extra, now)
            return False
        self._unblock(model)
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
            if not replica.idle or replica.tier is model.spec.base:
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

    def retire(self, model: Model, now: float) -> None:
        """End what a changed configuration no longer wants, once it is idle."""
        surplus = len(model.replicas) - (0 if model.gone else model.spec.max_replicas)
        for replica in reversed(model.replicas):
            unwanted = replica.stale or surplus > 0 or replica.tier not in model.spec.tiers
            if unwanted and replica.idle and replica.tier is not model.spec.base:
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
        was = replica.tier
        self._settle_in(model, replica, model.spec.base, now, None)
        self._fleet.out.append(TierChanged(replica.id, model.name, was, was, replica.state, reason=event.reason))
        if was is Tier.RUNNING:
            if replica.served:
                model.failures = 0
            self._start_failed(model, Attempt(Tier.RUNNING, event.reason), now)
        return model

    def relieve(self, now: float) -> None:
        """Evict idle replicas while measuring has shown that more is held than the node has."""
        fleet = self._fleet
        over = Resources() - fleet.ledger.free
        if not over.fits(Resources()):
            for replica in fleet.in_transition():
                over = over - self._still_to_free(replica)
            if not over.fits(Resources()):
                for eviction in fleet.policy.evict(self._eviction_options(None, now), over):
                    self._begin(fleet.replicas[eviction.replica_id], eviction.target, now)

    def release(self, model: Model) -> None:
        """A model wants nothing more: others need not wait for the room it asked for."""
        self._unblock(model)

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
        if tier is model.spec.base:
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
            if not self._others_may_serve(model):
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
                return
            model.tried.append(attempt)
        tier = done.source if done.is_wake else done.target
        if tier is model.spec.base:
            return
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
        if not self._others_may_serve(model):
            message = f"model {model.name!r} could not be woken"
            self._admission.reject_all(model, RejectKind.WAKE_FAILED, message, retry_after=closed)
            model.tried.clear()

    def _others_may_serve(self, model: Model) -> bool:
        """Whether another replica runs, wakes, or can be woken without a start from the base tier."""
        return any(
            r.tier is not model.spec.base or (r.transition is not None and r.transition.is_wake) for r in model.replicas
        )

    def _make_room(self, model: Model, extra: Resources, now: float) -> None:
        """Evict idle replicas for a wake that needs `extra`, unless what already rests will free enough."""
        fleet = self._fleet
        fleet.blocked[model.name] = model
        expected = fleet.ledger.free - self._reserved_for_others(model)
        for replica in fleet.in_transition():
            expected = expected + self._still_to_free(replica)
        model.reservation = extra
        if extra.fits(expected):
            return
        chosen = fleet.policy.evict(self._eviction_options(model, now), extra - expected)
        if not chosen:
            model.reservation = None
        for eviction in chosen:
            self._begin(fleet.replicas[eviction.replica_id], eviction.target, now)

    def _still_to_free(self, replica: Replica) -> Resources:
        """What the end of a transition will give back."""
        assert replica.transition is not None
        spec = self._fleet.models[replica.model].spec
        return self._fleet.ledger.charged(replica.id) - self._fleet.ledger.need(spec, replica.transition.target)

    def _eviction_options(self, beneficiary: Model | None, now: float) -> list[Eviction]:
        """All ways to make room, except at the cost of the beneficiary itself or of what woke only just now."""
        fleet = self._fleet
        options: list[Eviction] = []
        for model in fleet.models.values():
            if model is beneficiary:
                continue
            running = sum(1 for r in model.replicas if r.tier is Tier.RUNNING and r.transition is None)
            for replica in model.replicas:
                if not replica.idle or replica.tier is model.spec.base:
                    continue
                if replica.tier is Tier.RUNNING:
                    safe_until = replica.since + model.spec.min_active
                    if running <= model.floor:
                        continue
                    if safe_until > now:
                        fleet.timers.arm((beneficiary or model).name, safe_until)
                        continue
                held = fleet.ledger.charged(replica.id)
                for tier in model.colder_tiers(replica.tier, now):
                    freed = held - fleet.ledger.need(model.spec, tier)
                    cost = fleet.costs.estimate(model.name, tier)
                    options.append(Eviction(replica.id, tier, freed, cost, replica.idle_since))
        return options

    def _reserved_for_others(self, model: Model) -> Resources:
        return sum(
            (m.reservation for m in self._fleet.blocked.values() if m is not model and m.reservation), Resources()
        )

    def _unblock(self, model: Model) -> None:
        self._fleet.blocked.pop(model.name, None)
        model.reservation = None


def _show(amount: Resources) -> str:
    kinds = ((amount.ram, "RAM"), (amount.gpu, "GPU memory"))
    parts = [f"{value / 2**30:.2f} GiB {name}" for value, name in kinds if 0 < value < UNLIMITED]
    return " and ".join(parts) or "nothing"
