"""What each tier is worth here: *tier, mechanism, best, after idle, depends on traffic, captures warm-up*."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glowplug.profiling.bench.paths import PageCache, StartPath, known_paths, parse_path
from glowplug.profiling.bench.statistics import Summary
from glowplug.profiling.bench.summary import Ratio, Results, ScenarioResult
from glowplug.scheduler.values import Tier

WARM = 1.5
"""How many times as long as the next one the first request may take for a replica that counts as warm. Requests that
differ by less cannot be told from one another with a handful of repeats; a missed compilation costs ten times more."""


@dataclass(frozen=True, slots=True)
class TierRow:
    """One tier of one model. Times in seconds, None where nothing was measured; the others are words."""

    model: str
    tier: Tier
    mechanism: str
    best: float | None
    after_idle: float | None
    idle_note: str
    traffic: str
    warm: str


_MECHANISM: Mapping[Tier, str] = {
    Tier.RUNNING: "it serves",
    Tier.ASLEEP: "the engine's own wake call",
    Tier.PARKED: "the process tree, frozen in memory, goes on",
    Tier.SNAPSHOT: "the process image is read back from the disk",
    Tier.CACHED: "the engine starts with its caches and weights on the local disk",
    Tier.COLD: "the engine starts without its caches",
}

_TRAFFIC: Mapping[Tier, str] = {
    Tier.RUNNING: "yes: it holds everything, so it lasts only while there are requests",
    Tier.ASLEEP: "yes: the process and its memory must be kept",
    Tier.PARKED: "yes: its memory must be kept",
    Tier.SNAPSHOT: "no: it lies on the disk",
    Tier.CACHED: "partly: whether the page cache still holds the weights depends on what else was read",
    Tier.COLD: "no",
}


def tier_table(results: Results) -> list[TierRow]:
    """The rows of every model, the warmest tier first. Only measured tiers, and running, which every repeat reaches."""
    rows: list[TierRow] = []
    for model in results.models:
        own = [scenario for scenario in results.scenarios if scenario.model == model and scenario.metrics]
        if own:
            rows.append(_running(model, own))
            rows += [_row(model, tier, found) for tier in Tier if (found := _of_tier(own, tier))]
    return rows


def _running(model: str, scenarios: Sequence[ScenarioResult]) -> TierRow:
    summaries = [scenario.metrics["ttft"] for scenario in scenarios if "ttft" in scenario.metrics]
    return TierRow(
        model=model,
        tier=Tier.RUNNING,
        mechanism=_MECHANISM[Tier.RUNNING],
        best=_best(summaries),
        after_idle=None,
        idle_note="it rests",
        traffic=_TRAFFIC[Tier.RUNNING],
        warm="yes",
    )


def _row(model: str, tier: Tier, scenarios: Sequence[ScenarioResult]) -> TierRow:
    after_idle, note = _after_idle(tier, scenarios)
    return TierRow(
        model=model,
        tier=tier,
        mechanism=_MECHANISM[tier],
        best=_best([scenario.metrics["cold_start"] for scenario in scenarios]),
        after_idle=after_idle,
        idle_note=note,
        traffic=_TRAFFIC[tier],
        warm=_warm(tier, scenarios[0].first_to_later),
    )


def _of_tier(scenarios: Sequence[ScenarioResult], tier: Tier) -> list[ScenarioResult]:
    """The scenarios that begin in a tier, in the order of the known paths: without warm-up requests first."""
    order = list(known_paths())
    found = [s for s in scenarios if "cold_start" in s.metrics and _tier_of(parse_path(s.path)) is tier]
    return sorted(found, key=lambda s: (order.index(parse_path(s.path).family), s.path))


def _tier_of(path: StartPath) -> Tier:
    if path.tier is not None:
        return path.tier
    return Tier.CACHED if path.caches_filled else Tier.COLD


def _after_idle(tier: Tier, scenarios: Sequence[ScenarioResult]) -> tuple[float | None, str]:
    """What a start takes after a long pause: with a process as before, if its memory is left alone; from the disk once
    other reads have pushed the weights out of the page cache."""
    if tier.has_process:
        idle = float(scenarios[0].definition["idle"])
        return scenarios[0].metrics["cold_start"].median, f"rested {idle:g} s; lasts while its memory is kept"
    for scenario in scenarios:
        if parse_path(scenario.path).page_cache is PageCache.DROPPED:
            read = "weights" if tier is not Tier.SNAPSHOT else "image"
            return scenario.metrics["cold_start"].median, f"{read} read from the disk"
    path = {Tier.CACHED: "cached-cold-disk", Tier.SNAPSHOT: "snapshot-cold-disk"}.get(tier)
    return None, "not measured" if path is None else f"not measured; the path is {path}"


def _best(summaries: Sequence[Summary]) -> float | None:
    return min((summary.least for summary in summaries), default=None)


def _warm(tier: Tier, ratio: Ratio | None) -> str:
    """Whether what a process had warmed up before its rest is still there: judged by its first request after it."""
    if ratio is None:
        return "not measured"
    times = f"first request {ratio.value:.2f} × the next"
    if tier in (Tier.CACHED, Tier.COLD):
        return f"no: a new process ({times})"
    if ratio.interval is None or ratio.interval.low <= WARM <= ratio.interval.high:
        return f"cannot be told ({times})"
    return f"yes ({times})" if ratio.interval.high < WARM else f"no ({times})"
