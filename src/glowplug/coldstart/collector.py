"""Which start a line belongs to, and what it says about it."""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache

from glowplug.coldstart import failures
from glowplug.coldstart.events import Event, StartLog
from glowplug.coldstart.finder import TextSet
from glowplug.coldstart.grammar import Grammar, Level, Line
from glowplug.coldstart.heads import Head
from glowplug.coldstart.stamps import read_time

_ATTENTION = 20_000
"""Lines read whole, whatever they say, since the last beginning of a start: their times bound the silences. Start-up
logs have 50 to 2,000 lines; beyond this only lines that were looked for are read."""
_MOST_SOURCES = 256
_MOST_STARTS = 1_000
_SNIPPET = 200


Match = tuple[int, Line, Mapping[str, str]]
"""A kind of line with its number among all, and what the groups of its pattern hold."""


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
        own = [{id(line) for line in grammar.lines} for grammar in grammars]
        self._users = [[place for place, lines in enumerate(own) if id(line) in lines] for line in self._lines]
        by_text: dict[str, list[int]] = {}
        for place, line in enumerate(self._lines):
            by_text.setdefault(line.text, []).append(place)
        self._texts, self._by_text = tuple(by_text), list(by_text.values())
        self._text_set = TextSet([*self._texts, *failures.TEXTS])
        self._silent = tuple({text for grammar in grammars for text in grammar.silent})
        self._last_marks = {grammar.ready[0].mark for grammar in grammars if grammar.ready}
        self._open: dict[str, StartLog] = {}
        self._attention = _ATTENTION
        self.closed: deque[StartLog] = deque(maxlen=_MOST_STARTS)
        self.dropped = 0

    @property
    def mode(self) -> Mode:
        """What to read the next lines for."""
        if self._attention > 0:
            return Mode.ALL
        return Mode.BEGINNINGS if self._all_ready() else Mode.MARKS

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
        message = head.message
        found = self._text_set.found_in(message)
        matched = self._match(message, found) if found else ()
        if matched:
            start = self._begin(start, source, matched, head, number)
        before = start.clock.last
        inner = head.inner and start.inner.unwrap(head.inner.seconds)
        outer = head.outer and start.outer.unwrap(head.outer.seconds)
        if not start.ready:
            self._tick(start, head, inner, outer, number)
        start.last_line = number
        if message and not message.isspace():
            start.last_text = message
        if matched:
            self._take(start, matched, head, (inner, outer, before), number)
            if not start.ready:
                self._settle(start, matched)
        elif found and not start.ready and (failure := failures.read_failure(message, number)) is not None:
            start.fail(failure)

    def _take(
        self,
        start: StartLog,
        matched: Sequence[Match],
        head: Head,
        times: tuple[float | None, float | None, float | None],
        number: int,
    ) -> None:
        """Remember what a line means. `times` are those of the engine, the collector, and the last line before it."""
        inner, outer, before = times
        speaker = f"{head.process} {head.pid}".strip()
        text = head.message[:_SNIPPET]
        for place, line, values in matched:
            if place not in start.seen:
                for grammar in self._users[place]:
                    start.scores[grammar] = start.scores.get(grammar, 0) + line.weight
            told = read_time(values["at"]) if "at" in values else None
            time = inner if told is None else told.seconds
            start.add(Event(line, number, time, outer, values.get("rank") or speaker, values, text, before), place)
            if line.level is Level.WORK and not line.bar:
                start.failure = None
            if line.mark is not None:
                start.marked(line.mark, head.process)

    def grammar_of(self, start: StartLog) -> Grammar | None:
        """The grammar with the most evidence; None if no line was any engine's own."""
        best = max(start.scores, key=lambda place: (start.scores[place], -place), default=None)
        return None if best is None or start.scores[best] == 0 else self._grammars[best]

    def _settle(self, start: StartLog, matched: Sequence[Match]) -> None:
        """After the last line of a start comes serving, which is not read whole."""
        marks = {line.mark for _, line, _ in matched} & self._last_marks
        grammar = self.grammar_of(start) if marks else None
        if grammar is None or not grammar.ready or grammar.ready[0].mark not in marks:
            return
        start.ready = True
        if self._all_ready():
            self._attention = 0

    def _all_ready(self) -> bool:
        """Whether a start has been seen, and none goes on."""
        begun = [start for start in self._open.values() if start.level is not Level.NONE]
        return bool(begun) and all(start.ready for start in begun)

    def _match(self, message: str, found: Sequence[int]) -> list[Match]:
        """The kinds of lines that a message is, of whose texts those at the places `found` are in it."""
        matched: list[Match] = []
        for place in sorted(place for text in found if text < len(self._texts) for place in self._by_text[text]):
            line = self._lines[place]
            if line.pattern is None:
                matched.append((place, line, {}))
            elif (fitting := _compiled(line.pattern).search(message)) is not None:
                values = {key: value for key, value in fitting.groupdict().items() if value is not None}
                matched.append((place, line, values))
        return matched

    def _begin(
        self,
        start: StartLog,
        source: str,
        matched: Sequence[Match],
        head: Head,
        number: int,
    ) -> StartLog:
        """The start that these lines belong to: a new one if they are the beginning of one."""
        level = max(line.level for _, line, _ in matched)
        if start.level is Level.NONE:
            if level is not Level.NONE:
                self._attention = _ATTENTION
            # What stood before the first line of a server is not part of its start, nor is what failed before it.
            if any(line.level is Level.FRONTEND for _, line, _ in matched) or (level and start.failure):
                start = self._open[source] = StartLog(source, first_line=number, lead=start.lead)
        elif self._begins(start, matched, head.process):
            start = self._new(start, source, number)
        start.level = max(start.level, level)
        return start

    def _begins(self, start: StartLog, matched: Sequence[Match], process: str) -> bool:
        """Whether these lines begin another start than the one going on."""
        levels = {line.level for _, line, _ in matched}
        level = Level.FRONTEND if Level.FRONTEND in levels else Level.ENGINE
        if level not in levels:
            return False
        if start.ready or (start.failure and start.level >= level):
            return True
        again = any((line.mark, process) in start.marks for _, line, _ in matched if line.level is level)
        if level is Level.FRONTEND:
            return again or start.level >= Level.ENGINE
        return again and start.level >= Level.WORK

    def _new(self, start: StartLog, source: str, number: int) -> StartLog:
        if self.grammar_of(start) is not None:
            self.dropped += len(self.closed) == self.closed.maxlen
            self.closed.append(start)
        self._attention = _ATTENTION
        self._open[source] = StartLog(source, first_line=number)
        return self._open[source]

    def _tick(self, start: StartLog, head: Head, inner: float | None, outer: float | None, number: int) -> None:
        text = head.message[:_SNIPPET]
        for silent in self._silent:
            if silent in text:
                return
        if inner is not None and head.inner is not None:
            start.inner.tick(head.inner, inner, number, text)
            if outer is not None:
                start.lead = inner - outer if start.lead is None else max(start.lead, inner - outer)
        if outer is not None and head.outer is not None:
            start.outer.tick(head.outer, outer, number, text)


def _distinct(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple({id(line): line for line in lines}.values())


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
