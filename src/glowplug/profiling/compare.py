"""Which phases of cold starts moved between two files, and by how much."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from glowplug.coldstart.values import ColdStart

TOTAL = "total"
"""The whole start, where phases are named."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The seconds that a phase, or the whole start, took in several starts; None if no start tells it."""

    n: int
    median: float | None
    least: float | None
    greatest: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """How a phase moved. `seconds` and `ratio` compare the medians; None if they cannot be compared.

    A phase that only one side has took no time on the other side, so `seconds` is known and `ratio` is 0 or None.
    """

    phase: str
    before: Sample
    after: Sample
    seconds: float | None
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The starts of one scenario in two files: the whole first, then the phases, the greatest change first.

    `before` and `after` are the numbers of starts.
    """

    scenario: str
    before: int
    after: int
    total: Change
    phases: tuple[Change, ...]

    def change(self, phase: str) -> Change | None:
        """That of a phase or of `TOTAL`; None if neither side has the phase."""
        return next((change for change in (self.total, *self.phases) if change.phase == phase), None)


@dataclass(frozen=True, slots=True)
class Threshold:
    """How much slower something may become: by `share` of its old time (0.1 is 10 %) and by `seconds`."""

    share: float = 0.0
    seconds: float = 0.0

    def exceeded(self, change: Change) -> bool:
        """Whether the change is greater than both limits."""
        if change.seconds is None:
            return False
        return change.seconds > self.seconds and change.seconds > self.share * (change.before.median or 0.0)


def compare(
    before: Mapping[str, Sequence[ColdStart]], after: Mapping[str, Sequence[ColdStart]]
) -> tuple[Comparison, ...]:
    """Compare the ready starts of two files, scenario by scenario.

    Where each file has one scenario only, these two are compared whatever they are called. Scenarios without a ready
    start on both sides are left out.
    """
    old, new = _ready(before), _ready(after)
    if len(old) == len(new) == 1:
        (name, first), (_, second) = *old.items(), *new.items()
        return (_comparison(name, first, second),)
    return tuple(_comparison(name, old[name], new[name]) for name in old if name in new)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison in the form that `--format json` shows."""
    return asdict(comparison)


def _ready(scenarios: Mapping[str, Sequence[ColdStart]]) -> dict[str, list[ColdStart]]:
    ready = {name: [start for start in starts if start.outcome == "ready"] for name, starts in scenarios.items()}
    return {name: starts for name, starts in ready.items() if starts}


def _comparison(scenario: str, before: Sequence[ColdStart], after: Sequence[ColdStart]) -> Comparison:
    names = dict.fromkeys(span.phase for start in (*before, *after) for span in start.walk())
    phases = [_change(name, _phase(name, before), _phase(name, after)) for name in names]
    phases.sort(key=lambda change: -abs(change.seconds or 0.0))
    total = _change(TOTAL, _total(before), _total(after))
    return Comparison(scenario, len(before), len(after), total, tuple(phases))


def _change(phase: str, before: Sample, after: Sample) -> Change:
    old, new = before.median, after.median
    if phase != TOTAL:  # no line about a phase means that it did not happen
        old, new = old or 0.0, new or 0.0
    if old is None or new is None:
        return Change(phase, before, after, None, None)
    return Change(phase, before, after, new - old, new / old if old > 0 else None)


def _phase(name: str, starts: Sequence[ColdStart]) -> Sample:
    times = [start.seconds_of(name) for start in starts]
    if all(time is None for time in times):
        return _sample([], len(starts))
    return _sample([time or 0.0 for time in times], len(starts))


def _total(starts: Sequence[ColdStart]) -> Sample:
    known = [start.total for start in starts if start.total is not None]
    return _sample(known, len(known))


def _sample(times: Sequence[float], n: int) -> Sample:
    return Sample(n, median(times), min(times), max(times)) if times else Sample(n, None, None, None)


def unmatched(before: Mapping[str, Sequence[ColdStart]], after: Mapping[str, Sequence[ColdStart]]) -> Iterator[str]:
    """Sentences about what was not compared: scenarios of one side only, and starts that did not become ready."""
    old, new = _ready(before), _ready(after)
    if not len(old) == len(new) == 1:
        for name in sorted((set(old) ^ set(new)) - {""}):
            yield f"scenario {name} is only in the {'baseline' if name in old else 'other file'}"
    for side, all_of, ready in (("baseline", before, old), ("other file", after, new)):
        left = sum(map(len, all_of.values())) - sum(map(len, ready.values()))
        if left:
            yield f"{left} of the starts in the {side} did not become ready and {'is' if left == 1 else 'are'} left out"
