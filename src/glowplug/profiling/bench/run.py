"""A whole run: check what can be measured here, then do the repeats that are missing, one at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from glowplug.engines import registry
from glowplug.engines.base import EngineError
from glowplug.profiling.bench import page_cache
from glowplug.profiling.bench.bench_file import BenchFile
from glowplug.profiling.bench.journal import Journal
from glowplug.profiling.bench.measure import Bench, Measurer
from glowplug.profiling.bench.repeat import Repeat
from glowplug.profiling.bench.scenario import Scenario
from glowplug.profiling.bench.schedule import Turn, missing, schedule
from glowplug.profiling.bench.settle import Quiet
from glowplug.tiers.registry import TRANSITIONS

_NODE = {"memory", "gpu_memory", "disk", "engine_ports", "snapshot_memory", "huge_pages"}
"""What the servers take over of the `node` section."""


class CannotBench(Exception):
    """Nothing can be measured. The text is one sentence per problem, with the remedy."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def begins(self, what: str, turn: Turn, done: int, total: int, left: float | None) -> None:
        """A repeat begins, or the `fill` before it; `left` is the estimate of the seconds until the end, if any."""
        ...

    def ended(self, repeat: Repeat) -> None:
        """It has ended, one way or the other, and is written down."""
        ...


@dataclass(frozen=True, slots=True)
class Selection:
    """The scenarios that can be measured here, and why the others cannot, by name."""

    scenarios: Sequence[Scenario]
    closed: Mapping[str, str]


def select(wanted: Iterable[Scenario]) -> Selection:
    """Ask engines and tiers what is possible on this machine.

    Raises:
        CannotBench: a model could not start, or the page cache may not be dropped as the file wants it.
    """
    wanted = list(wanted)
    problems = {f"model {name!r}: {error}": None for name, error in _unable(wanted)}
    if any(scenario.page_cache == "machine" for scenario in wanted):
        try:
            page_cache.require_machine_drop()
        except page_cache.CannotDrop as error:
            problems[str(error)] = None
    if problems:
        raise CannotBench("\n".join(problems))
    closed = {scenario.name: reason for scenario in wanted if (reason := _closed(scenario))}
    return Selection([scenario for scenario in wanted if scenario.name not in closed], closed)


async def run(file: BenchFile, scenarios: Sequence[Scenario], journal: Journal, watcher: Watcher) -> None:
    """Do the repeats that the journal lacks. Being cancelled ends the engine; finished repeats are kept.

    Raises:
        OSError: the result directory cannot be written.
    """
    by_name = {scenario.name: scenario for scenario in scenarios}
    turns = schedule({scenario.name: scenario.repeats for scenario in scenarios}, file.bench.seed)
    left = missing(turns, journal.finished())
    node = file.node.model_dump(mode="json", include=_NODE)
    dumped = {scenario.model for scenario in scenarios if scenario.path.image is not None}
    bench = Bench(journal, Quiet(), file.bench.settle, node, dumped)
    measurer = Measurer(bench)
    for index, turn in enumerate(left):
        scenario = by_name[turn.scenario]
        done = len(turns) - len(left) + index
        estimate = remaining(left[index:], journal.repeats)
        if reason := measurer.hopeless(scenario):
            watcher.begins(scenario.name, turn, done, len(turns), estimate)
            _finish(measurer.without_caches(scenario, turn, reason), journal, watcher)
            continue
        if not measurer.filled(scenario):
            watcher.begins(f"{scenario.model}, filling its caches", turn, done, len(turns), estimate)
            filled = await measurer.fill(scenario, turn)
            _finish(filled, journal, watcher)
            if filled.failure is not None and not measurer.filled(scenario):
                _finish(measurer.without_caches(scenario, turn, filled.failure), journal, watcher)
                continue
        watcher.begins(scenario.name, turn, done, len(turns), estimate)
        _finish(await measurer.repeat(scenario, turn), journal, watcher)
    journal.clear_work()


def _finish(repeat: Repeat, journal: Journal, watcher: Watcher) -> None:
    journal.add(repeat)
    watcher.ended(repeat)


def remaining(turns: Sequence[Turn], repeats: Sequence[Repeat]) -> float | None:
    """Seconds that the turns will take if each takes as long as those of its scenario on average so far.

    None as long as some scenario has not run yet.
    """
    took: dict[str, list[float]] = {}
    for repeat in repeats:
        took.setdefault(repeat.scenario, []).append(repeat.took)
    if any(turn.scenario not in took for turn in turns):
        return None
    return sum(sum(took[turn.scenario]) / len(took[turn.scenario]) for turn in turns)


def _unable(wanted: Iterable[Scenario]) -> Iterable[tuple[str, str]]:
    for scenario in wanted:
        try:
            registry.get(scenario.config.engine).check(scenario.config)
        except EngineError as error:
            yield scenario.model, str(error)


def _closed(scenario: Scenario) -> str | None:
    tier = scenario.path.tier
    if tier is None:
        return None
    return TRANSITIONS[tier].closed(scenario.config, registry.get(scenario.config.engine))
