"""How long each phase of a start took, over ranks and over repetitions."""

from collections.abc import Sequence
from dataclasses import dataclass

from glowplug.coldstart.events import Event, StartLog
from glowplug.coldstart.grammar import Grammar, Interval
from glowplug.coldstart.values import Ranks, Source, Span

_GREATEST = 1e12
"""Numbers from which on a number in a log is rubbish; as seconds it would be 30,000 years."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One occurrence of a phase in one process."""

    phase: str
    seconds: float
    start: float | None
    end: float | None
    process: str
    lines: tuple[int, ...]
    source: Source
    label: str
    key: str


def number_of(text: str) -> float | None:
    """The number that a line tells; None if it is none that a start can have, such as one cut off or run together."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < _GREATEST else None


def seconds_of(event: Event) -> float | None:
    """The duration that a line tells, in seconds; None if it tells none."""
    values = event.values
    if "seconds" in values:
        return number_of(values["seconds"])
    if "milliseconds" in values:
        milliseconds = number_of(values["milliseconds"])
        return None if milliseconds is None else milliseconds / 1000
    if "clock" in values:
        parts = [number_of(part) for part in values["clock"].split(":")]
        hours, minutes, seconds = [0.0] * (3 - len(parts)) + parts if len(parts) <= 3 else (None,) * 3
        if hours is not None and minutes is not None and seconds is not None:
            return hours * 3600 + minutes * 60 + seconds
    return None


def told(log: StartLog) -> list[Piece]:
    """The durations that the engine told itself. They end when they are told."""
    pieces: list[Piece] = []
    for event in log.events:
        line, seconds = event.line, seconds_of(event)
        if line.phase is None or seconds is None or not line.phase:
            continue
        end = log.time_of(event)
        start = None if end is None else end - seconds
        key = line.phase if line.key is None else line.key
        label = event.values.get("label", line.label)
        pieces.append(Piece(line.phase, seconds, start, end, event.process, (event.number,), "reported", label, key))
    return pieces


def bars(log: StartLog) -> list[Piece]:
    """What progress bars say of phases. A bar ends when its last state was drawn; where that has no time, it began
    after the last line that has one."""
    pieces: list[Piece] = []
    for event in log.bars.values():
        seconds = seconds_of(event)
        if event.line.phase is None or seconds is None:
            continue
        drawn = log.time_of(event)
        start = event.before if drawn is None else drawn - seconds
        end = None if start is None else start + seconds
        key = event.line.phase if event.line.key is None else event.line.key
        pieces.append(
            Piece(
                event.line.phase, seconds, start, end, event.process, (event.number,), "reported", event.line.label, key
            )
        )
    return pieces


def between(log: StartLog, interval: Interval) -> list[Piece]:
    """The pieces of a phase that follow from two marks."""
    if interval.each:
        return _each(log, interval)
    moments = ends(log, interval)
    if moments is None:
        return []
    (start, first), (end, last) = moments
    key = interval.phase if interval.key is None else interval.key
    return [Piece(interval.phase, end - start, start, end, "", (first, last), "stamps", interval.label, key)]


def unfinished(log: StartLog, grammar: Grammar) -> list[Piece]:
    """Phases that began, and had not ended when the log did."""
    until = log.clock.last
    pieces: list[Piece] = []
    for interval in grammar.intervals:
        if not interval.each or until is None:
            continue
        for event, closed in _pairs(log, interval):
            start = log.time_of(event)
            if closed is None and start is not None:
                pieces.append(
                    Piece(
                        interval.phase,
                        max(until - start, 0.0),
                        start,
                        max(until, start),
                        event.process,
                        (event.number, log.clock.last_line),
                        "stamps",
                        "unfinished",
                        "",
                    )
                )
    return pieces


def ends(log: StartLog, interval: Interval) -> tuple[tuple[float, int], tuple[float, int]] | None:
    """When and in which lines an interval begins and ends; None if the log does not say."""
    for name in interval.begin:
        begin = _moment(log, name, interval, after=None)
        if begin is None:
            continue
        for other in interval.end:
            end = _moment(log, other, interval, after=begin)
            if end is not None:
                return begin, end
        return None
    return None


def _moment(log: StartLog, name: str, interval: Interval, after: tuple[float, int] | None) -> tuple[float, int] | None:
    clock = log.outer if interval.outer else log.clock
    if name == "first":
        return None if clock.first is None else (clock.first, clock.first_line)
    kind, _, mark = name.rpartition(":")
    if kind == "before":
        found = [event for event in (*log.events, *log.bars.values()) if event.line.mark == mark]
        if not found or (time := found[0].before) is None or after is None or time <= after[0]:
            return None
        return time, found[0].number
    for event in reversed(log.events) if kind == "last" else log.events:
        if event.line.mark != mark:
            continue
        time = event.outer if interval.outer else log.time_of(event)
        if time is not None and (after is None or time >= after[0]):
            return time, event.number
    return None


def _each(log: StartLog, interval: Interval) -> list[Piece]:
    pieces: list[Piece] = []
    key = interval.phase if interval.key is None else interval.key
    for begin, end in _pairs(log, interval):
        if end is None:
            continue
        start, stop = log.time_of(begin), log.time_of(end)
        if start is not None and stop is not None:
            lines = (begin.number, end.number)
            pieces.append(
                Piece(interval.phase, stop - start, start, stop, begin.process, lines, "stamps", interval.label, key)
            )
    return pieces


def _pairs(log: StartLog, interval: Interval) -> list[tuple[Event, Event | None]]:
    open_at: dict[str, Event] = {}
    pairs: list[tuple[Event, Event | None]] = []
    for event in log.events:
        if event.line.mark in interval.begin:
            open_at[event.process] = event
        elif event.line.mark in interval.end and event.process in open_at:
            pairs.append((open_at.pop(event.process), event))
    pairs += [(event, None) for event in open_at.values()]
    return pairs


def combine(pieces: Sequence[Piece], tolerance: float) -> tuple[list[Span], float]:
    """The spans of one phase, and its seconds: summed within a process, the slowest process standing for all.

    Ranks work side by side; what one of them does several times, such as loading a draft model after the target
    model, it does one after another. Processes that differ by less than `tolerance` count as equal, and the first one
    stands for them.
    """
    by_process: dict[str, list[Piece]] = {}
    for piece in pieces:
        by_process.setdefault(piece.process, []).append(piece)
    sums = {process: sum(piece.seconds for piece in own) for process, own in by_process.items()}
    first = next(iter(sums)) if len(sums) == 1 else min(sums, key=_rank)
    slowest = max(sums, key=lambda process: sums[process])
    chosen = first if sums[slowest] - sums[first] < tolerance else slowest
    ranks = Ranks(len(sums), min(sums.values()), max(sums.values()), sums[first]) if len(sums) > 1 else None
    spans = [
        Span(
            phase=piece.phase,
            seconds=piece.seconds,
            start=piece.start,
            end=piece.end,
            source=piece.source,
            lines=piece.lines,
            label=piece.label,
            ranks=ranks if place == 0 else None,
        )
        for place, piece in enumerate(by_process[chosen])
    ]
    return spans, sums[chosen]


def _rank(process: str) -> tuple[int, str]:
    """Rank 0 first: the main process has no name, others end in their rank."""
    digits = "".join(character for character in process.split(" ")[0] if character.isdigit())
    return (int(digits) if digits else -1, process)
