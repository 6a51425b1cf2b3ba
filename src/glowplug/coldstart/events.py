"""What the lines of one start have told so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from glowplug.coldstart.failures import Failure
from glowplug.coldstart.grammar import Level, Line

_LEAST_SILENCE = 0.5
"""Seconds without a line from which on a silence is remembered."""
_MOST_SILENCES = 200
_MOST_EVENTS = 20_000
_MOST_BARS = 1_000
_MOST_FAILURES = 50
"""Bounds, so that memory stays flat whatever the log holds. A start of 16 ranks with a draft model has 400 events."""


@dataclass(frozen=True, slots=True)
class Event:
    """A line that means something. `inner` and `outer` are seconds on the engine's and the collector's clock; `before`
    is when the last line before it was written that has a time (of a progress bar: before it was drawn first)."""

    line: Line
    number: int
    inner: float | None
    outer: float | None
    process: str
    values: Mapping[str, str]
    text: str
    before: float | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which no process said anything: seconds, line numbers and texts of the lines around it."""

    start: float
    end: float
    lines: tuple[int, int]
    texts: tuple[str, str]


@dataclass(slots=True)
class Clock:
    """One clock of a start: its first and last time, and where it was silent."""

    first: float | None = None
    first_line: int = 0
    last: float | None = None
    last_line: int = 0
    last_text: str = ""
    year: int | None = None
    zoned: bool = False
    silences: list[Silence] = field(default_factory=list[Silence])

    def tick(self, seconds: float, line: int, text: str) -> None:
        """A line with this time. Lines of several processes may be a little out of order."""
        if self.first is None or self.last is None:
            self.first, self.first_line = seconds, line
        elif seconds <= self.last:
            return
        elif seconds - self.last >= _LEAST_SILENCE:
            self.silences.append(Silence(self.last, seconds, (self.last_line, line), (self.last_text, text)))
            if len(self.silences) > 2 * _MOST_SILENCES:
                self.silences.sort(key=lambda silence: silence.start - silence.end)
                del self.silences[_MOST_SILENCES:]
        self.last, self.last_line, self.last_text = seconds, line, text


@dataclass(slots=True)
class StartLog:
    """The lines of one start, as far as they matter."""

    source: str = ""
    level: Level = Level.NONE
    first_line: int = 0
    last_line: int = 0
    ready: bool = False
    inner: Clock = field(default_factory=Clock)
    outer: Clock = field(default_factory=Clock)
    lead: float | None = None
    """Greatest difference between the engine's clock and the collector's, on lines that have both: a collector's time
    is late by as much as it waited, and the least waiting tells the difference of the clocks."""
    events: list[Event] = field(default_factory=list[Event])
    bars: dict[tuple[str, str, int], Event] = field(default_factory=dict[tuple[str, str, int], Event])
    """The last state of every progress bar, by its text, its process and how often it began anew."""
    marks: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    failures: list[Failure] = field(default_factory=list[Failure])
    scores: dict[int, int] = field(default_factory=dict[int, int])
    """Evidence for each grammar, by its place among the grammars."""
    seen: set[int] = field(default_factory=set[int])
    """Kinds of lines seen, by their place among all."""

    def add(self, event: Event) -> None:
        """Remember a line that means something."""
        if event.line.bar:
            self._draw(event)
        elif len(self.events) < _MOST_EVENTS:
            self.events.append(event)

    def _draw(self, event: Event) -> None:
        """A bar that stands at zero again is another one, such as that of a draft model."""
        drawn = sum(1 for text, process, _ in self.bars if (text, process) == (event.line.text, event.process))
        last = self.bars.get((event.line.text, event.process, drawn - 1))
        if last is None:
            self.bars[event.line.text, event.process, 0] = event
        elif _at_zero(event) and not _at_zero(last):
            if len(self.bars) < _MOST_BARS:
                self.bars[event.line.text, event.process, drawn] = event
        else:
            self.bars[event.line.text, event.process, drawn - 1] = replace(event, before=last.before)

    def fail(self, failure: Failure) -> None:
        """Remember a line that tells of a failure."""
        if len(self.failures) < _MOST_FAILURES:
            self.failures.append(failure)

    def time_of(self, event: Event) -> float | None:
        """Seconds of an event on the clock of this start: the engine's if it has one, else the collector's."""
        if self.inner.first is None:
            return event.outer
        if event.inner is not None:
            return event.inner
        if event.outer is not None and self.lead is not None:
            return event.outer + self.lead
        return None

    @property
    def clock(self) -> Clock:
        """The clock that times of this start are on."""
        return self.outer if self.inner.first is None else self.inner


def _at_zero(bar: Event) -> bool:
    return not bar.values.get("clock", "1").strip("0:")
