"""What the lines of one start have told so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from glowplug.coldstart.failures import Failure
from glowplug.coldstart.grammar import Level, Line
from glowplug.coldstart.stamps import Stamp, Unwrapper

_LEAST_SILENCE = 0.5
"""Seconds without a line from which on a silence is remembered."""
_MOST_SILENCES = 200
_MOST_OF_A_KIND = 1_000
_MOST_EVENTS = 20_000
_MOST_BARS = 1_000
"""Bounds, so that memory stays flat whatever the log holds. A start of 16 ranks with a draft model has 400 events, 32
of a kind."""


@dataclass(slots=True)
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

    unwrap: Unwrapper = field(default_factory=Unwrapper)
    first: float | None = None
    first_line: int = 0
    last: float | None = None
    last_line: int = 0
    last_text: str = ""
    year: int | None = None
    zoned: bool = False
    silences: list[Silence] = field(default_factory=list[Silence])

    def tick(self, stamp: Stamp, seconds: float, line: int, text: str) -> None:
        """A line with this stamp, unwrapped to `seconds`. Lines of several processes may be a little out of order."""
        if self.year is None:
            self.year, self.zoned = stamp.year, self.zoned or stamp.zoned
        if self.last is None:
            # A process that counts from its start began at zero, and its first line is late by what it did before.
            self.first = self.last = 0.0 if stamp.relative else seconds
            self.first_line = self.last_line = line
            self.last_text = "the start of the process" if stamp.relative else text
        if seconds <= self.last:
            return
        if seconds - self.last >= _LEAST_SILENCE:
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
    last_text: str = ""
    """What the last line said that was read and not empty."""
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
    failure: Failure | None = None
    scores: dict[int, int] = field(default_factory=dict[int, int])
    """Evidence for each grammar, by its place among the grammars."""
    seen: dict[int, int] = field(default_factory=dict[int, int])
    """How often each kind of line was seen, by its place among all."""
    drawn: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """How often each progress bar began, by its text and its process."""

    def add(self, event: Event, place: int) -> None:
        """Remember a line that means something, whose kind has the number `place`."""
        seen = self.seen[place] = self.seen.get(place, 0) + 1
        if event.line.bar:
            self._draw(event)
        elif seen <= _MOST_OF_A_KIND and len(self.events) < _MOST_EVENTS:
            self.events.append(event)

    def marked(self, mark: str, process: str) -> None:
        """Remember that `process` has passed a moment."""
        if len(self.marks) < _MOST_EVENTS:
            self.marks.add((mark, process))

    def _draw(self, event: Event) -> None:
        """A bar that stands at zero again is another one, such as that of a draft model."""
        bar = event.line.text, event.process
        drawn = self.drawn.get(bar, 0)
        last = self.bars.get((*bar, drawn))
        if last is not None and not (_at_zero(event) and not _at_zero(last)):
            event.before = last.before
            self.bars[*bar, drawn] = event
        elif len(self.bars) < _MOST_BARS:
            self.drawn[bar] = drawn + 1
            self.bars[*bar, drawn + 1] = event

    def fail(self, failure: Failure) -> None:
        """Remember a line that tells of a failure, if it is the one to show."""
        if self.failure is None or failure.weight > self.failure.weight:
            self.failure = failure

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
