"""The settings that hold for one model: what it says itself, else the defaults, else what is built in."""

from collections.abc import Mapping

from glowplug.config.models import Config, ModelConfig, ReplicasConfig, SnapshotUse
from glowplug.scheduler.values import FOREVER, Tier

# Chosen so that a pause in a conversation costs nothing (5 minutes), a lunch break costs a thaw (1 hour), and what
# holds only disk stays.
AUTO_KEEP_ALIVE: Mapping[Tier, float] = {
    Tier.RUNNING: 5 * 60.0,
    Tier.ASLEEP: 15 * 60.0,
    Tier.PARKED: 60 * 60.0,
    Tier.SNAPSHOT: FOREVER,
    Tier.CACHED: FOREVER,
    Tier.COLD: FOREVER,
}


def keep_alive_of(config: Config, model: ModelConfig) -> dict[Tier, float]:
    """Seconds without requests in each tier before the next colder one.

    A tier that the model does not name is as in the defaults, and one that those do not name is built in. A model that
    says `auto` takes no notice of the defaults.
    """
    keep_alive = dict(AUTO_KEEP_ALIVE)
    if model.keep_alive == "auto":
        return keep_alive
    for layer in (config.defaults.keep_alive, model.keep_alive):
        if isinstance(layer, dict):
            keep_alive |= layer
    return keep_alive


def tiers_of(config: Config, model: ModelConfig) -> tuple[Tier, ...] | None:
    """The tiers that the model may use, warmest first, or None for all that the machine and the engine allow."""
    tiers = config.defaults.tiers if model.tiers is None else model.tiers
    return None if tiers == "auto" else tuple(sorted(tiers, key=lambda tier: tier.rank))


def replicas_of(config: Config, model: ModelConfig) -> ReplicasConfig:
    """How many replicas the model may have; a key that it does not give is as in the defaults.

    Raises:
        pydantic.ValidationError: the two contradict each other (`load` lets no such file through).
    """
    given = model.replicas.model_dump(exclude_unset=True) if model.replicas else {}
    return ReplicasConfig.model_validate(config.defaults.replicas.model_dump() | given)


def min_active_of(config: Config, model: ModelConfig) -> float:
    """Seconds for which a woken replica is safe from being evicted for another model."""
    return config.defaults.min_active if model.min_active is None else model.min_active


def start_timeout_of(config: Config, model: ModelConfig) -> float:
    """Seconds that the engine may take to start."""
    return config.defaults.start_timeout if model.start_timeout is None else model.start_timeout


def snapshot_of(config: Config, model: ModelConfig) -> SnapshotUse:
    """Whether snapshots of the model are made: `always`, `off`, or `auto` (where they are worth it)."""
    return config.defaults.snapshot if model.snapshot is None else model.snapshot
