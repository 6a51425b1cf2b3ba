"""From finished repeats to what a report says of them: `Results`, and its JSON form `results.json`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from glowplug.profiling.bench.paths import known_paths, parse_path
from glowplug.profiling.bench.repeat import METRICS, Repeat
from glowplug.profiling.bench.statistics import (
    LEVEL,
    RESAMPLES,
    Interval,
    Summary,
    median,
    ratio_interval,
    reservation,
    summarise,
)

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of one scenario divided by that of another; the interval is None if there are too few repeats."""

    base: str
    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """What was found for one scenario.

    Attributes:
        repeats: all that were measured, failed ones included, in the order in which they ran.
        metrics: by name of the metric, for those with at least one value.
        speed_up: its median cold start compared with that of the coldest path of the same model.
        first_to_later: what the first request took once the replica was ready, compared with the next request.
        typical: the repeat nearest to the median of the cold starts.
    """

    name: str
    model: str
    engine: str
    path: str
    definition: Mapping[str, Any]
    repeats: Sequence[Repeat]
    metrics: Mapping[str, Summary]
    speed_up: Ratio | None
    first_to_later: Ratio | None
    typical: Repeat | None

    @property
    def memory(self) -> float | None:
        """Bytes of host RAM that a running replica held, as the median."""
        found = [float(repeat.memory) for repeat in self.repeats if repeat.failure is None and repeat.memory]
        return median(found) if found else None

    @property
    def failures(self) -> Sequence[Repeat]:
        """The repeats that failed."""
        return [repeat for repeat in self.repeats if repeat.failure is not None]

    @property
    def odd(self) -> Sequence[Repeat]:
        """The repeats whose cold start is an outlier."""
        told = [repeat for repeat in self.repeats if repeat.value("cold_start") is not None]
        return [told[index] for index in self.metrics["cold_start"].outliers] if told else []

    @property
    def versions(self) -> Sequence[str]:
        """The versions that the engine gave itself: one, if all is as it should be."""
        found = (repeat.cold_start.get("version") for repeat in self.repeats if repeat.cold_start)
        return list(dict.fromkeys(str(version) for version in found if version))


@dataclass(frozen=True, slots=True)
class Results:
    """A whole result directory. `fills` are the starts that filled caches and made snapshots; `closed` says what cannot
    be measured."""

    about: Mapping[str, Any]
    scenarios: Sequence[ScenarioResult]
    fills: Sequence[Repeat]
    closed: Mapping[str, str]

    @property
    def hopeless(self) -> Sequence[str]:
        """The scenarios of which every repeat failed."""
        return [s.name for s in self.scenarios if s.repeats and len(s.failures) == len(s.repeats)]

    @property
    def images(self) -> Mapping[str, Mapping[str, Any]]:
        """The snapshots that were restored, by model: `raw_bytes`, `stored_bytes` and `pause`."""
        return {fill.scenario.rpartition("/")[0]: fill.image for fill in self.fills if fill.image is not None}

    @property
    def models(self) -> Sequence[str]:
        """The models in the order of the bench file."""
        return list(dict.fromkeys(scenario.model for scenario in self.scenarios))


def summarise_all(about: Mapping[str, Any], repeats: Sequence[Repeat], closed: Mapping[str, str]) -> Results:
    """Everything that is known of the scenarios in `about`, as `Journal.about` gives it."""
    seed = int(about["seed"])
    measured = [repeat for repeat in repeats if repeat.kind == "measured"]
    found: dict[str, ScenarioResult] = {}
    for name, definition in about["scenarios"].items():
        own = [repeat for repeat in measured if repeat.scenario == name]
        found[name] = _scenario(name, definition, own, seed)
    bases = _coldest(found.values())
    scenarios = [_compared(scenario, bases.get(scenario.model), seed) for scenario in found.values()]
    fills = [repeat for repeat in repeats if repeat.kind == "fill"]
    return Results(about, scenarios, fills, closed)


def results_json(results: Results) -> dict[str, Any]:
    """The document `results.json`. Raw values are in it, so that another run can be compared with it."""
    return {
        "format": FORMAT,
        **{key: results.about[key] for key in ("machine", "software", "settings", "seed")},
        "method": {"level": LEVEL, "resamples": RESAMPLES, "interval": "bootstrap percentile"},
        "closed": dict(results.closed),
        "images": {model: dict(image) for model, image in results.images.items()},
        "scenarios": [_scenario_json(scenario) for scenario in results.scenarios],
    }


def _scenario(name: str, definition: Mapping[str, Any], repeats: Sequence[Repeat], seed: int) -> ScenarioResult:
    metrics: dict[str, Summary] = {}
    for metric in METRICS:
        if values := _values(repeats, metric.name):
            metrics[metric.name] = summarise(values, seed=seed)
    after_ready = [value for repeat in repeats if (value := repeat.after_ready) is not None]
    later = _values(repeats, "ttft")
    first_to_later = _ratio("the next request", after_ready, later, seed) if after_ready and later else None
    return ScenarioResult(
        name=name,
        model=definition["model"],
        engine=definition["config"]["engine"],
        path=definition["path"],
        definition=definition,
        repeats=repeats,
        metrics=metrics,
        speed_up=None,
        first_to_later=first_to_later,
        typical=_typical(repeats),
    )


def _compared(scenario: ScenarioResult, base: ScenarioResult | None, seed: int) -> ScenarioResult:
    if base is None or base is scenario or "cold_start" not in scenario.metrics:
        return scenario
    own, other = scenario.metrics["cold_start"].values, base.metrics["cold_start"].values
    return replace(scenario, speed_up=_ratio(base.path, own, other, seed))


def _coldest(scenarios: Iterable[ScenarioResult]) -> Mapping[str, ScenarioResult]:
    """For each model the scenario that the others are compared with: that of its coldest path with a result."""
    order = list(known_paths())
    ranked = sorted(
        (scenario for scenario in scenarios if "cold_start" in scenario.metrics),
        key=lambda scenario: (order.index(parse_path(scenario.path).family), scenario.path),
        reverse=True,
    )
    return {scenario.model: scenario for scenario in ranked}


def _ratio(base: str, values: Sequence[float], others: Sequence[float], seed: int) -> Ratio:
    return Ratio(base, median(values) / median(others), ratio_interval(values, others, seed=seed))


def _values(repeats: Sequence[Repeat], metric: str) -> list[float]:
    return [value for repeat in repeats if (value := repeat.value(metric)) is not None]


def _typical(repeats: Sequence[Repeat]) -> Repeat | None:
    ready = [repeat for repeat in repeats if repeat.cold_start is not None and repeat.value("cold_start") is not None]
    if not ready:
        return None
    middle = median(_values(ready, "cold_start"))
    return min(ready, key=lambda repeat: abs((repeat.value("cold_start") or 0.0) - middle))


def _scenario_json(scenario: ScenarioResult) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "model": scenario.model,
        "engine": scenario.engine,
        "versions": list(scenario.versions),
        "path": scenario.path,
        "definition": dict(scenario.definition),
        "attempts": len(scenario.repeats),
        "failures": [{"id": repeat.id, "reason": repeat.failure} for repeat in scenario.failures],
        "metrics": {name: _summary_json(summary) for name, summary in scenario.metrics.items()},
        "speed_up": asdict(scenario.speed_up) if scenario.speed_up else None,
        "first_to_later": asdict(scenario.first_to_later) if scenario.first_to_later else None,
        "memory": scenario.memory,
        "typical": scenario.typical.cold_start if scenario.typical else None,
    }


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {"n": summary.n, **asdict(summary), "reservation": reservation(summary.n)}
