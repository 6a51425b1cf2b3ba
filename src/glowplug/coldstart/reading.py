"""Reading the log of an engine: from bytes to cold starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from glowplug.coldstart.assemble import assemble
from glowplug.coldstart.collector import Collector
from glowplug.coldstart.events import Silence, StartLog
from glowplug.coldstart.grammar import Grammar
from glowplug.coldstart.heads import Head
from glowplug.coldstart.scanner import Scanner
from glowplug.coldstart.stamps import Stamp
from glowplug.coldstart.values import ColdStart


@dataclass(frozen=True, slots=True)
class Reading:
    """What a log holds: its starts in the order of time, how many earlier ones were too many to keep, its lines."""

    starts: tuple[ColdStart, ...]
    dropped: int
    lines: int


def read_starts(chunks: Iterable[bytes], grammars: Sequence[Grammar]) -> Reading:
    """Everything in a log that comes in chunks of bytes, its lines in the order of time."""
    collector = Collector(grammars)
    scanner = Scanner(grammars, collector)
    for chunk in chunks:
        scanner.feed(chunk)
    lines = scanner.finish()
    return Reading(starts_of(collector), collector.dropped, lines)


def starts_of(collector: Collector) -> tuple[ColdStart, ...]:
    """The starts that a collector has found, those still going on at the end."""
    logs: list[StartLog] = [*collector.closed, *collector.open_starts()]
    starts: list[ColdStart] = []
    for log in logs:
        grammar = collector.grammar_of(log)
        if grammar is not None:
            starts.append(assemble(log, grammar))
    return tuple(starts)


class Reader:
    """Reads the output of an engine while it starts. Lines are timed by their arrival, not by what they carry.

    Args:
        grammars: the engines' grammars.
        origin: when the start began, on the clock that `at` of the other methods is on; spans count from there.
    """

    def __init__(self, grammars: Sequence[Grammar], origin: float = 0.0) -> None:
        self._collector = Collector(grammars)
        self._scanner = Scanner(grammars, self._collector, self._restamp)
        self._origin = origin
        self._at = origin

    def feed_chunk(self, chunk: bytes, at: float) -> None:
        """Take the next bytes of output, which arrived at `at` seconds. Lines may be divided between chunks."""
        self._at = at
        self._scanner.feed(chunk)

    def feed(self, line: bytes, at: float) -> None:
        """Take one line, with or without its line end."""
        self.feed_chunk(line.rstrip(b"\n") + b"\n", at)

    def starts(self) -> tuple[ColdStart, ...]:
        """The starts known now, the one going on last."""
        return tuple(
            assemble(log, grammar, self._origin)
            for log in (*self._collector.closed, *self._collector.open_starts())
            if (grammar := self._collector.grammar_of(log)) is not None
        )

    def began(self) -> float | None:
        """When the first line of the start that is going on came, in seconds since the origin; None before it."""
        for log in self._collector.open_starts()[-1:]:
            return None if log.clock.first is None else log.clock.first - self._origin
        return None

    def silences(self) -> tuple[Silence, ...]:
        """When the start that is going on said nothing, in seconds since the origin."""
        return tuple(
            replace(silence, start=silence.start - self._origin, end=silence.end - self._origin)
            for log in self._collector.open_starts()[-1:]
            for silence in log.clock.silences
        )

    def phase(self) -> str | None:
        """The phase that the engine is in now; None if its output does not tell."""
        for log in self._collector.open_starts()[-1:]:
            grammar = self._collector.grammar_of(log)
            if grammar is not None:
                return _phase_of(log, grammar)
        return None

    def _restamp(self, head: Head) -> None:
        head.inner = None
        head.outer = Stamp(self._at)


def _phase_of(log: StartLog, grammar: Grammar) -> str | None:
    begins = {
        mark.rpartition(":")[2]: interval.phase for interval in reversed(grammar.intervals) for mark in interval.begin
    }
    current: str | None = None
    for event in sorted((*log.events, *log.bars.values()), key=lambda event: event.number):
        line = event.line
        if line.mark in begins:
            current = begins[line.mark]
        elif line.phase is not None:
            current = line.phase if line.bar else grammar.inside.get(line.phase)
    return current
