"""Which replicas rest in a snapshot. It needs no process, so they are put there and taken out without a transition."""

from collections.abc import Sequence

from glowplug.scheduler.effects import TierChanged
from glowplug.scheduler.events import SnapshotGone, SnapshotReady
from glowplug.scheduler.fleet import Fleet
from glowplug.scheduler.policies.base import Idle
from glowplug.scheduler.state import Model, Replica, Snapshot
from glowplug.scheduler.values import Tier


class Snapshots:
    """What the node tells of snapshots, and where that leaves replicas without a process."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def ready(self, event: SnapshotReady) -> Model | None:
        """Book a published snapshot. Returns its model, if it is configured."""
        self._fleet.ledger.hold_snapshot(event.model, event.held)
        model = self._fleet.models.get(event.model)
        if model is not None:
            model.snapshot = Snapshot()
        return model

    def gone(self, event: SnapshotGone, now: float) -> Model | None:
        """Book the end of a snapshot, and forget how often it failed. Returns its model, if it is configured."""
        self._fleet.ledger.hold_snapshot(event.model, None)
        model = self._fleet.models.get(event.model)
        if model is not None:
            model.snapshot = None
            model.quarantines.pop(Tier.SNAPSHOT, None)
            self.place(model, now, event.reason)
        return model

    def place(self, model: Model, now: float, reason: str | None = None) -> None:
        """Put every replica without a process where it belongs now, and look again when a quarantine ends."""
        home = model.home(now)
        for replica in model.replicas:
            if replica.transition is None and not replica.tier.has_process and replica.tier is not home:
                left, replica.tier, replica.since = replica.tier, home, now
                self._fleet.out.append(TierChanged(replica.id, model.name, left, left, home, reason=reason))
        if model.snapshot is not None and (until := model.closed_until(Tier.SNAPSHOT, now)) > now:
            self._fleet.timers.arm(model.name, until)

    def let_go(self, model: Model, now: float) -> Sequence[Replica]:
        """The replicas whose snapshot was kept for long enough: all of a model that nobody uses, or none.

        A clone that was never woken does not count for itself: while another replica runs, the snapshot is needed.
        """
        resting = [r for r in model.replicas if r.tier is Tier.SNAPSHOT]
        used = any(r.transition is not None or r.tier.has_process for r in model.replicas)
        if model.snapshot is None or not resting or used or model.queue or model.floor:
            return ()
        last = max(resting, key=lambda r: r.since)
        idle = Idle(last.id, model.name, Tier.SNAPSHOT, last.since, model.keep_alive(Tier.SNAPSHOT))
        at = self._fleet.policy.rest_at(idle, now)
        if at > now:
            self._fleet.timers.arm(model.name, at)
            return ()
        model.snapshot.let_go = True
        return resting
