"""The tiers that a replica can rest in: one line each."""

from collections.abc import Mapping

from glowplug.scheduler.values import Tier
from glowplug.tiers.base import TierTransition
from glowplug.tiers.park import ParkTier
from glowplug.tiers.process import CachedTier, ColdTier
from glowplug.tiers.snapshot import SnapshotTier

_TRANSITIONS: tuple[TierTransition, ...] = (
    ParkTier(),
    SnapshotTier(),
    CachedTier(),
    ColdTier(),
)

TRANSITIONS: Mapping[Tier, TierTransition] = {transition.tier: transition for transition in _TRANSITIONS}
