"""Requests: in, granted, queued, turned away, out."""

import math

from glowplug.scheduler.effects import Check, Grant, Reject, RejectKind
from glowplug.scheduler.events import Outcome, RequestArrived, RequestEnded
from glowplug.scheduler.fleet import Fleet
from glowplug.scheduler.queue import Waiting
from glowplug.scheduler.state import Model, Replica
from glowplug.scheduler.values import Tier


class Admission:
    """The request side of the scheduler. Methods return the model that has to be looked at, if any."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def arrive(self, event: RequestArrived, now: float) -> Model | None:
        """Grant at once if a replica has room and nobody waits; else queue, or turn away."""
        fleet = self._fleet
        model = fleet.models.get(event.model)
        if fleet.draining:
            self._reject(event.request_id, RejectKind.SHUTTING_DOWN, "the server is shutting down")
            return None
        if model is None or model.gone:
            names = ", ".join(sorted(name for name, m in fleet.models.items() if not m.gone))
            message = f"model {event.model!r} is not configured; configured models: {names}"
            self._reject(event.request_id, RejectKind.UNKNOWN_MODEL, message)
            return None
        if not model.queue and (replica := self._with_room(model)) is not None:
            self._lease(event.request_id, replica, Tier.RUNNING, 0.0)
            crowded = len(replica.leases) > model.spec.comfortable and len(model.replicas) > 1
            return model if crowded else None
        deadline = math.inf if event.deadline is None else event.deadline
        if deadline <= now:
            self._reject(event.request_id, RejectKind.DEADLINE, f"no time was left to wait for model {model.name!r}")
            return None
        if (full := self._why_full(model, event.key)) is not None:
            self._reject(event.request_id, RejectKind.QUEUE_FULL, full, retry_after=self.expected_wait(model, now))
            return None
        model.queue.push(Waiting(event.request_id, event.key, now, deadline))
        fleet.requests[event.request_id] = model
        return model

    def end(self, event: RequestEnded, now: float) -> Model | None:
        """Take a request out of the queue or off its replica."""
        holder = self._fleet.requests.pop(event.request_id, None)
        if holder is None:
            return None
        if isinstance(holder, Model):
            holder.queue.remove(event.request_id)
            return holder
        if event.request_id not in holder.leases:  # its engine exited meanwhile
            return None
        holder.leases.discard(event.request_id)
        holder.idle_since = now
        model = self._fleet.models[holder.model]
        if event.outcome is Outcome.SERVED:
            holder.served = True
            model.failures = 0
            if holder.woke_from is Tier.SNAPSHOT:
                model.quarantines.pop(Tier.SNAPSHOT, None)
        elif event.outcome is Outcome.LOST and not holder.suspect:
            holder.suspect = True
            self._fleet.out.append(Check(holder.id))
        return model if not holder.leases or model.queue or self._fleet.draining or holder.stale else None

    def grant_waiting(self, model: Model, now: float) -> None:
        """Hand out the room that running replicas have, in the queue's order."""
        while model.queue and (replica := self._with_room(model)) is not None:
            waiting = model.queue.pop()
            woke_from = replica.woke_from if waiting.arrived <= replica.since else Tier.RUNNING
            self._lease(waiting.request_id, replica, woke_from, now - waiting.arrived)

    def expire(self, model: Model, now: float) -> None:
        """Turn away the requests whose deadline has come."""
        for waiting in model.queue.expired(now):
            self._fleet.requests.pop(waiting.request_id, None)
            state = ", ".join(replica.state for replica in model.replicas)
            message = (
                f"model {model.name!r} was not ready within {now - waiting.arrived:.1f} s (its replicas: {state}); "
                "raise server.queue_timeout or keep the model warmer"
            )
            self._reject(
                waiting.request_id,
                RejectKind.DEADLINE,
                message,
                retry_after=self.expected_wait(model, now),
                model=model,
            )

    def reject_all(self, model: Model, kind: RejectKind, message: str, retry_after: float | None = None) -> None:
        """Turn away everything that waits for a model."""
        while model.queue:
            waiting = model.queue.pop()
            self._fleet.requests.pop(waiting.request_id, None)
            self._reject(waiting.request_id, kind, message, retry_after=retry_after, model=model)

    def expected_wait(self, model: Model, now: float) -> float:
        """Seconds until this model probably has room: what is left of its fastest wake, at least one second."""
        left = [
            self._fleet.costs.estimate(model.name, r.transition.source) - (now - r.transition.started)
            for r in model.replicas
            if r.transition is not None and r.transition.is_wake
        ] or [self._fleet.costs.estimate(model.name, r.tier) for r in model.replicas]
        return max(1.0, min(left, default=1.0))

    def _with_room(self, model: Model) -> Replica | None:
        """The replica for the next request: the fullest one below the target concurrency, so that surplus replicas
        fall idle; if all are above it, the emptiest one that may take more."""
        best: Replica | None = None
        best_rank = (2, 0)
        spec = model.spec
        for replica in model.replicas:
            if not replica.serves:
                continue
            load = len(replica.leases)
            if spec.max_concurrency is not None and load >= spec.max_concurrency:
                continue
            rank = (0, -load) if load < spec.comfortable else (1, load)
            if rank < best_rank:
                best, best_rank = replica, rank
        return best

    def _lease(self, request_id: int, replica: Replica, woke_from: Tier, waited: float) -> None:
        replica.leases.add(request_id)
        self._fleet.requests[request_id] = replica
        self._fleet.out.append(Grant(request_id, replica.id, replica.address, woke_from, waited))

    def _why_full(self, model: Model, key: str) -> str | None:
        spec = model.spec
        if len(model.queue) >= spec.max_queue:
            return f"{len(model.queue)} requests already wait for model {model.name!r}, which is the limit"
        share = self._fleet.key_shares.get(key, spec.key_share)
        if key and model.queue.held_by(key) >= max(1, int(spec.max_queue * share)):
            return f"this API key's share of the queue for model {model.name!r} is used up"
        return None

    def _reject(
        self,
        request_id: int,
        kind: RejectKind,
        message: str,
        *,
        retry_after: float | None = None,
        model: Model | None = None,
    ) -> None:
        tried = tuple(model.tried) if model else ()
        self._fleet.out.append(Reject(request_id, kind, message, retry_after, tried))
