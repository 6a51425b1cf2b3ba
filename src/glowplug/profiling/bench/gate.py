"""Comparing a run with a baseline, so that a pipeline stops when starts have become slower.

A repeat or two may always be slow. So a metric counts as regressed only if the whole bootstrap interval of the ratio of
medians lies beyond the threshold, and as improved only if it lies beyond it on the other side.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from glowplug.profiling.bench.journal import differences
from glowplug.profiling.bench.repeat import METRICS, Metric
from glowplug.profiling.bench.statistics import Interval, median, ratio_interval
from glowplug.profiling.bench.summary import FORMAT

MINIMUM = 3
"""Repeats on both sides below which nothing is judged: two values may both be slow by chance too easily."""

Verdict = Literal["regressed", "improved", "within", "undecided", "no longer starts"]


class GateError(Exception):
    """The baseline cannot be used. The text is one sentence for the user, with the remedy."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one scenario. `slowdown` is above 1 if it became worse, whichever way the metric counts."""

    scenario: str
    metric: str
    unit: str
    before: float | None
    now: float | None
    slowdown: float | None
    interval: Interval | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GateReport:
    """Everything that was compared, and in whole sentences what could not be."""

    comparisons: Sequence[Comparison]
    notes: Sequence[str]

    @property
    def regressions(self) -> Sequence[Comparison]:
        """What must stop a pipeline."""
        return [one for one in self.comparisons if one.verdict in ("regressed", "no longer starts")]


def load_results(file: Path) -> Mapping[str, Any]:
    """A `results.json`, given as such or by its directory. Raises GateError."""
    if file.is_dir():
        file = file / "results.json"
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise GateError(f"the baseline {file} cannot be read ({error.strerror}); name a results.json") from None
    except ValueError:
        raise GateError(f"the baseline {file} is no JSON; name the results.json of a finished run") from None
    if not isinstance(document, dict) or cast("dict[str, Any]", document).get("format") != FORMAT:
        raise GateError(f"the baseline {file} is no results.json of this version; make a new one with glowplug bench")
    return cast("dict[str, Any]", document)


def compare(results: Mapping[str, Any], baseline: Mapping[str, Any], threshold: float) -> GateReport:
    """Compare two documents of the form `results.json`.

    Args:
        results: the run to judge.
        baseline: the run that is good enough.
        threshold: how much worse a median may be, as a factor above 1.
    """
    now = {scenario["name"]: scenario for scenario in results["scenarios"]}
    before = {scenario["name"]: scenario for scenario in baseline["scenarios"]}
    seed = int(results["seed"])
    notes = list(_machine_notes(results, baseline))
    comparisons: list[Comparison] = []
    for name, old in before.items():
        if name not in now or not now[name]["attempts"]:
            notes.append(f"{name} is in the baseline but was not measured now.")
        elif found := differences(old["definition"], now[name]["definition"]):
            path, was, is_now = found[0]
            where = ".".join(path)
            notes.append(f"{name} is not compared: its {where} is {is_now!r} and was {was!r} in the baseline.")
        else:
            comparisons += _scenario(name, old, now[name], threshold, seed)
    notes += [f"{name} is not in the baseline." for name in now if name not in before]
    return GateReport(comparisons, notes)


def _scenario(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any], threshold: float, seed: int
) -> Iterator[Comparison]:
    if old["metrics"] and len(new["failures"]) == new["attempts"]:
        before = old["metrics"]["cold_start"]["median"] if "cold_start" in old["metrics"] else None
        yield Comparison(name, METRICS[0].title, METRICS[0].unit, before, None, None, None, "no longer starts")
        return
    for metric in METRICS:
        if metric.name in old["metrics"] and metric.name in new["metrics"]:
            values = new["metrics"][metric.name]["values"], old["metrics"][metric.name]["values"]
            yield _metric(name, metric, *values, threshold, seed)


def _metric(
    name: str, metric: Metric, new: Sequence[float], old: Sequence[float], threshold: float, seed: int
) -> Comparison:
    worse, base = (new, old) if metric.better == "lower" else (old, new)
    slowdown = median(worse) / median(base)
    interval = ratio_interval(worse, base, seed=seed)
    verdict: Verdict = "within"
    if interval is None or min(len(new), len(old)) < MINIMUM:
        verdict = "undecided"
    elif interval.low > threshold:
        verdict = "regressed"
    elif interval.high < 1 / threshold:
        verdict = "improved"
    return Comparison(name, metric.title, metric.unit, median(old), median(new), slowdown, interval, verdict)


def _machine_notes(results: Mapping[str, Any], baseline: Mapping[str, Any]) -> Iterator[str]:
    for section in ("machine", "software"):
        for path, was, is_now in differences(baseline[section], results[section]):
            where = ".".join([section, *path])
            yield f"The baseline was taken under other conditions: {where} is {is_now!r} and was {was!r}."
