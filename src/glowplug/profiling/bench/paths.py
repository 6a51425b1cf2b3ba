"""The ways in which a model can come to its first token, each of which is a path to measure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from glowplug.config.suggest import remedy
from glowplug.scheduler.values import Tier
from glowplug.tiers.registry import TRANSITIONS
from glowplug.tiers.worth import ImageAt

WARMUP_SUFFIX = "+warmup"


class PageCache(StrEnum):
    """What is done to the kernel's page cache before the measured request."""

    DROPPED = "dropped"
    FILLED = "filled"
    UNTOUCHED = "untouched"


@dataclass(frozen=True, slots=True)
class StartPath:
    """What a replica has left when the measured request comes.

    Attributes:
        name: as users write it.
        tier: the tier that the replica rests in; None if there is nothing to rest because it never ran.
        caches_filled: whether the engine's own caches (compiled kernels and the like) are those of an earlier start.
        page_cache: where the weights are.
        warmup: whether the model's warm-up requests are sent before it counts as ready.
        image: where the process image is that the replica is restored from; None if it is not restored.
    """

    name: str
    tier: Tier | None
    caches_filled: bool
    page_cache: PageCache
    warmup: bool = False
    image: ImageAt | None = None

    @property
    def family(self) -> str:
        """The name without the suffix for warm-up requests."""
        return self.name.removesuffix(WARMUP_SUFFIX)


class UnknownPath(ValueError):
    """There is no such path. The text is one sentence with the nearest name."""


_STARTS = (
    StartPath("cold", None, False, PageCache.DROPPED),
    StartPath("cached", None, True, PageCache.FILLED),
    StartPath("cached-cold-disk", None, True, PageCache.DROPPED),
)

_RESTORES = (
    StartPath("snapshot-cold-disk", Tier.SNAPSHOT, True, PageCache.DROPPED, image=ImageAt.DISK),
    StartPath("snapshot-page-cache", Tier.SNAPSHOT, True, PageCache.FILLED, image=ImageAt.PAGE_CACHE),
    StartPath("snapshot", Tier.SNAPSHOT, True, PageCache.UNTOUCHED, image=ImageAt.RESIDENT),
)


def known_paths() -> Mapping[str, StartPath]:
    """The starts, the restores, and one path for each other tier that a replica can rest in, coldest first."""
    rests = [
        StartPath(tier.value, tier, True, PageCache.UNTOUCHED)
        for tier in sorted(TRANSITIONS, key=lambda tier: tier.rank, reverse=True)
        if tier not in (Tier.COLD, Tier.CACHED, Tier.SNAPSHOT)
    ]
    return {path.name: path for path in (*_STARTS, *_RESTORES, *rests)}


def parse_path(name: str) -> StartPath:
    """The path of a name such as `cached` or `cached+warmup`. Raises UnknownPath."""
    paths = known_paths()
    family = name.removesuffix(WARMUP_SUFFIX)
    if family not in paths:
        raise UnknownPath(f'there is no start path "{name}"{remedy(family, paths)} (known: {", ".join(paths)})')
    path = paths[family]
    if family == name:
        return path
    return replace(path, name=name, warmup=True)
