"""From the lines of one start to its tree of spans and its numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from glowplug.coldstart import durations, failures
from glowplug.coldstart.events import Event, Silence, StartLog
from glowplug.coldstart.gaps import LEAST_GAP, fill
from glowplug.coldstart.grammar import Grammar
from glowplug.coldstart.secrets import without_secrets
from glowplug.coldstart.stamps import iso
from glowplug.coldstart.tree import nest
from glowplug.coldstart.values import ColdStart, Outcome, Span

_COARSE = 1.0
"""Seconds: gaps shorter than that are not told from the rounding of stamps of whole seconds."""
_NOT_FACTS = ("seconds", "milliseconds", "clock", "rank", "label", "at", "version", "model")
_SNIPPET = 200
_LONG_SILENCE = 30.0
"""Seconds from which on a silence is told as a number of its own."""


def assemble(log: StartLog, grammar: Grammar, origin: float | None = None) -> ColdStart:
    """The cold start that `log` tells of, read by `grammar`.

    `origin` is when it began on the log's clock, if that is known better than the log tells.
    """
    own = {id(line) for line in grammar.lines}
    log = replace(
        log,
        events=[event for event in log.events if id(event.line) in own],
        bars={name: event for name, event in log.bars.items() if id(event.line) in own},
    )
    reported: dict[str, float | bool] = {}
    begin, total = _total(log, grammar)
    if origin is not None:
        begin, total = origin, None
    spans = _spans(log, grammar, reported)
    for event in log.events:
        for name, value in event.values.items():
            if name.startswith("n_") and (number := durations.number_of(value)) is not None:
                reported[name.removeprefix("n_")] = number
        for name, flag in event.line.flags.items():
            reported[name] = bool(reported.get(name)) or flag
    if total is not None:
        reported["total"] = round(total, 9)
    if grammar.derive is not None:
        reported |= grammar.derive(reported)
    outcome = _outcome(log, grammar)
    silences = _relative(log.clock.silences, begin)
    # A phase before the beginning, such as the import in a script that times the engine alone, is only a number.
    moved = [_moved(span, begin) for span in spans]
    tree = nest([span for span in moved if span.end is None or span.end > 0 or span.start == 0], grammar.inside)
    end = total if total is not None else _last(tree, log, begin)
    told = reported.get("total")
    _tell_silence(reported, tree, silences)
    return ColdStart(
        engine=grammar.engine,
        variant=grammar.variant,
        version=_fact(log.events, "version"),
        model=_fact(log.events, "model"),
        outcome=outcome,
        reason=_why(log, outcome),
        total=float(told) if told is not None else None,
        started_at=_started_at(log, begin),
        reported=reported,
        spans=fill(tree, 0.0, end, silences, _least_gap(log)) if begin is not None and end is not None else tree,
        facts=_facts([*log.events, *log.bars.values()]),
        lines=(log.first_line, log.last_line),
    )


def _total(log: StartLog, grammar: Grammar) -> tuple[float | None, float | None]:
    """When the start began on its clock, and how long it took until it was ready."""
    begin = log.clock.first
    for interval in grammar.total:
        moments = durations.ends(log, interval)
        if moments is not None:
            (start, _), (end, _) = moments
            if interval.outer:
                return begin, end - start
            return start, end - start
    for interval in grammar.total:
        for name in interval.begin:
            found = [event for event in log.events if event.line.mark == name]
            if found and not interval.outer and (time := log.time_of(found[0])) is not None:
                return time, None
    return begin, None


def _spans(log: StartLog, grammar: Grammar, reported: dict[str, float | bool]) -> list[Span]:
    """Flat spans; what the engine told itself counts before what two stamps say, and that before a progress bar."""
    pieces = durations.told(log)
    have = {piece.phase for piece in pieces}
    for interval in grammar.intervals:
        if interval.phase not in have:
            pieces += durations.between(log, interval)
    have = {piece.phase for piece in pieces}
    pieces += [piece for piece in durations.bars(log) if piece.phase not in have]
    have = {piece.phase for piece in pieces}
    if not log.ready:
        pieces += [piece for piece in durations.unfinished(log, grammar) if piece.phase not in have]
    spans: list[Span] = []
    for phase in dict.fromkeys(piece.phase for piece in pieces):
        own = [piece for piece in pieces if piece.phase == phase]
        for key in dict.fromkeys(piece.key for piece in own):
            found, seconds = durations.combine([piece for piece in own if piece.key == key], grammar.rank_tolerance)
            spans += found
            if key:
                reported[key] = round(seconds, 9)
    return spans


def _outcome(log: StartLog, grammar: Grammar) -> Outcome:
    marks = {event.line.mark for event in log.events}
    if any(ready.mark in marks and (ready.unless is None or ready.unless not in marks) for ready in grammar.ready):
        return "ready"
    return "failed" if log.failure else "incomplete"


def _why(log: StartLog, outcome: Outcome) -> str | None:
    if outcome == "ready":
        return None
    if log.failure is not None:
        return without_secrets(failures.reason(log.failure))
    text = log.last_text.strip()[:_SNIPPET].rstrip()
    return f"the log ends before the engine is ready; its last line is: {without_secrets(text)}"


def _moved(span: Span, begin: float | None) -> Span:
    if begin is None or span.start is None or span.end is None:
        return replace(span, start=None, end=None)
    return replace(span, start=span.start - begin, end=span.end - begin)


def _relative(silences: Sequence[Silence], begin: float | None) -> list[Silence]:
    if begin is None:
        return []
    return [replace(silence, start=silence.start - begin, end=silence.end - begin) for silence in silences]


def _last(tree: Sequence[Span], log: StartLog, begin: float | None) -> float | None:
    if begin is None or log.clock.last is None:
        return None
    return max([span.end for span in tree if span.end is not None] + [log.clock.last - begin])


def _least_gap(log: StartLog) -> float:
    own = [event.outer if log.inner.first is None else event.inner for event in log.events]
    return _COARSE if all(time is None or time == int(time) for time in own) else LEAST_GAP


def _tell_silence(reported: dict[str, float | bool], tree: Sequence[Span], silences: Sequence[Silence]) -> None:
    """The longest silence that no phase but profiling explains: engines compile kernels there without a word."""
    labelled = [
        span
        for root in tree
        for span in root.walk()
        if not span.children and span.phase not in ("profile_kv", "engine_init") and span.start is not None
    ]
    for silence in sorted(silences, key=lambda silence: silence.start - silence.end):
        if silence.end - silence.start < _LONG_SILENCE:
            return
        covered = sum(
            max(0.0, min(span.end or 0.0, silence.end) - max(span.start or 0.0, silence.start)) for span in labelled
        )
        if covered < (silence.end - silence.start) / 2:
            reported["unlabelled_gap_approx"] = silence.end - silence.start
            return


def _started_at(log: StartLog, begin: float | None) -> str | None:
    clock = log.clock
    if begin is None or clock.year is None:
        return None
    return iso(begin, clock.year, zoned=clock.zoned)


def _fact(events: Sequence[Event], name: str) -> str | None:
    return next((event.values[name] for event in events if event.values.get(name)), None)


def _facts(events: Sequence[Event]) -> Mapping[str, str]:
    facts: dict[str, str] = {}
    for event in events:
        for name, value in event.values.items():
            if name not in _NOT_FACTS and not name.startswith("n_"):
                facts.setdefault(name, without_secrets(value))
    return facts
