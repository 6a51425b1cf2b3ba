"""The scheduler's state as it is shown to people and machines. Nothing decides on these copies."""

from collections.abc import Callable, Mapping
from typing import Any

from glowplug.cluster.base import ModelView, ReplicaView
from glowplug.config.models import ModelConfig
from glowplug.scheduler.core import Scheduler
from glowplug.scheduler.state import Model, Replica
from glowplug.scheduler.values import Resources, Tier


def model_view(
    model: Model,
    config: ModelConfig,
    scheduler: Scheduler,
    now: float,
    pid_of: Callable[[str], int | None],
    last_wake: Mapping[str, Any] | None,
    closed_tiers: Mapping[Tier, str],
) -> ModelView:
    """One model and its replicas."""
    replicas = tuple(_replica_view(replica, scheduler, now, pid_of(replica.id)) for replica in model.replicas)
    return ModelView(
        name=model.name,
        engine=config.engine,
        aliases=config.aliases,
        tier=min((r.tier for r in model.replicas), key=lambda tier: tier.rank, default=model.spec.base),
        queued=len(model.queue),
        in_flight=sum(view.in_flight for view in replicas),
        pin=model.spec.pin,
        replicas=replicas,
        last_wake=last_wake,
        quarantine={tier: q.reason for tier, q in model.quarantines.items() if q.until > now},
        closed_tiers={tier.value: reason for tier, reason in closed_tiers.items()},
        snapshot=None if (held := scheduler.snapshot(model.name)) is None else _bytes(held),
    )


def _replica_view(replica: Replica, scheduler: Scheduler, now: float, pid: int | None) -> ReplicaView:
    held = scheduler.charged(replica.id)
    since = replica.transition.started if replica.transition else replica.since
    return ReplicaView(
        id=replica.id,
        model=replica.model,
        state=replica.state,
        since=now - since,
        in_flight=len(replica.leases),
        address=replica.address or None,
        pid=pid,
        memory=_bytes(held),
    )


def _bytes(held: Resources) -> Mapping[str, int]:
    return {"ram": held.ram, "gpu": held.gpu, "disk": held.disk}
