"""Which start a line belongs to, and what it says about it."""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache

from glowplug.coldstart import failures
from glowplug.coldstart.events import Event, StartLog
from glowplug.coldstart.finder import Finder
from glowplug.coldstart.grammar import Grammar, Level, Line
from glowplug.coldstart.heads import Head
from glowplug.coldstart.stamps import Unwrapper, read_time

_ATTENTION = 20_000
"""Lines read whole, whatever they say, since the last beginning of a start: their times bound the silences. Start-up
logs have 50 to 2,000 lines; beyond this only lines that were looked for are read."""
_MOST_SOURCES = 256
_MOST_STARTS = 1_000
_SNIPPET = 200


class Mode(IntEnum):
    """What the next lines are read for."""

    ALL = 0
    MARKS = 1
    BEGINNINGS = 2


class Collector:
    """Takes records in order and keeps the starts found so far, the most recent thousand of them.

    Args:
        grammars: the engines' grammars.
    """

    def __init__(self, grammars: Sequence[Grammar]) -> None:
        self._grammars = grammars
        self._lines = _distinct(line for grammar in grammars for line in grammar.lines)
        self._users = [
            [place for place, grammar in enumerate(grammars) if any(line is used for used in grammar.lines)]
            for line in self._lines
        ]
        self._finder = Finder([*(line.text for line in self._lines), *failures.TEXTS])
        self._silent = tuple(text for grammar in grammars for text in grammar.silent)
        self._open: dict[str, StartLog] = {}
        self._clocks: dict[str, tuple[Unwrapper, Unwrapper]] = {}
        self._attention = _ATTENTION
        self.closed: deque[StartLog] = deque(maxlen=_MOST_STARTS)
        self.dropped = 0

    @property
    def mode(self) -> Mode:
        """What to read the next lines for."""
        if self._attention > 0:
            return Mode.ALL
        return Mode.BEGINNINGS if all(start.ready for start in self._open.values()) and self._open else Mode.MARKS

    def open_starts(self) -> Sequence[StartLog]:
        """The starts that may still go on, the one that spoke last at the end."""
        return sorted(self._open.values(), key=lambda start: start.last_line)

    def accept(self, head: Head, number: int) -> None:
        """Take the next record; `number` is its line in the file."""
        self._attention -= 1
        source = head.source if head.source in self._open or len(self._open) < _MOST_SOURCES else ""
        start = self._open.get(source)
        if start is None:
            start = self._open[source] = StartLog(source, first_line=number)
        inner, outer = self._times(source, head)
        message = head.message
        matched = list(self._match(message))
        if matched:
            start = self._begin(start, source, matched, head, number)
        before = start.clock.last
        if not start.ready:
            self._tick(start, head, inner, outer, number)
        start.last_line = number
        for place, line, values in matched:
            if place not in start.seen:
                start.seen.add(place)
                for grammar in self._users[place]:
                    start.scores[grammar] = start.scores.get(grammar, 0) + line.weight
            process = values.get("rank") or f"{head.process} {head.pid}".strip()
            time = inner
            if "at" in values and (told := read_time(values["at"])) is not None:
                time = told.seconds
            start.add(Event(line, number, time, outer, process, values, message[:_SNIPPET], before))
            if line.level is Level.WORK and not line.bar:
                start.failures.clear()
            if line.mark is not None:
                start.marks.add((line.mark, head.process))
        if not matched and not start.ready and (failure := failures.read_failure(message, number)) is not None:
            start.fail(failure)
        if matched and not start.ready:
            self._settle(start, matched)

    def grammar_of(self, start: StartLog) -> Grammar | None:
        """The grammar with the most evidence; None if no line was any engine's own."""
        best = max(start.scores, key=lambda place: (start.scores[place], -place), default=None)
        return None if best is None or start.scores[best] == 0 else self._grammars[best]

    def _settle(self, start: StartLog, matched: Sequence[tuple[int, Line, Mapping[str, str]]]) -> None:
        """After the last line of a start comes serving, which is not read whole."""
        grammar = self.grammar_of(start)
        if grammar is None or not grammar.ready or all(line.mark != grammar.ready[0].mark for _, line, _ in matched):
            return
        start.ready = True
        if all(other.ready or other.level is Level.NONE for other in self._open.values()):
            self._attention = 0

    def _match(self, message: str) -> Iterable[tuple[int, Line, Mapping[str, str]]]:
        if self._finder.search(message.encode("utf-8", "replace")) < 0:
            return
        for place, line in enumerate(self._lines):
            if line.text not in message:
                continue
            if line.pattern is None:
                yield place, line, {}
            elif (found := _compiled(line.pattern).search(message)) is not None:
                yield place, line, {key: value for key, value in found.groupdict().items() if value is not None}

    def _begin(
        self,
        start: StartLog,
        source: str,
        matched: Sequence[tuple[int, Line, Mapping[str, str]]],
        head: Head,
        number: int,
    ) -> StartLog:
        """The start that these lines belong to: a new one if they are the beginning of one."""
        levels = [line.level for _, line, _ in matched]
        if Level.FRONTEND in levels:
            again = any(
                (line.mark, head.process) in start.marks for _, line, _ in matched if line.level is Level.FRONTEND
            )
            if start.level >= Level.ENGINE or start.ready or start.failures or (again and start.level):
                start = self._new(start, source, number)
            elif start.level is Level.NONE:
                # What stood before the first line of a server is not part of its start.
                start = self._open[source] = StartLog(source, first_line=number, lead=start.lead)
        elif Level.ENGINE in levels:
            again = any(
                (line.mark, head.process) in start.marks for _, line, _ in matched if line.level is Level.ENGINE
            )
            if start.ready or start.failures or (again and start.level >= Level.WORK):
                start = self._new(start, source, number)
        start.level = max(start.level, *levels)
        return start

    def _new(self, start: StartLog, source: str, number: int) -> StartLog:
        if len(self.closed) == self.closed.maxlen:
            self.dropped += 1
        self.closed.append(start)
        self._attention = _ATTENTION
        self._open[source] = StartLog(source, first_line=number)
        return self._open[source]

    def _times(self, source: str, head: Head) -> tuple[float | None, float | None]:
        unwrap_inner, unwrap_outer = self._clocks.setdefault(source, (Unwrapper(), Unwrapper()))
        inner = head.inner and unwrap_inner(head.inner.seconds)
        outer = head.outer and unwrap_outer(head.outer.seconds)
        return inner, outer

    def _tick(self, start: StartLog, head: Head, inner: float | None, outer: float | None, number: int) -> None:
        text = head.message[:_SNIPPET]
        if inner is not None and outer is not None:
            start.lead = inner - outer if start.lead is None else max(start.lead, inner - outer)
        if any(silent in text for silent in self._silent):
            return
        for clock, seconds, stamp in ((start.inner, inner, head.inner), (start.outer, outer, head.outer)):
            if seconds is not None and stamp is not None:
                if stamp.relative and clock.first is None:
                    # The process began at zero, and its first line is late by what it did before.
                    clock.tick(0.0, number, "")
                clock.tick(seconds, number, text)
                clock.year = clock.year or stamp.year
                clock.zoned = clock.zoned or stamp.zoned


def _distinct(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple({id(line): line for line in lines}.values())


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
