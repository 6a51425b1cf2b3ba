"""Time that no phase explains, made visible."""

from collections.abc import Sequence
from dataclasses import replace

from glowplug.coldstart.events import Silence
from glowplug.coldstart.secrets import without_secrets
from glowplug.coldstart.tree import in_order
from glowplug.coldstart.values import Span

LEAST_GAP = 0.05
"""Seconds. What is shorter is the time between two lines of one piece of work."""
_LEAST_SILENCE = 2.0
_LEAST_SILENCE_SHARE = 0.2
"""A silence of so many seconds, and so large a part of the unexplained time around it, is a gap of its own, with its
own two lines. So one gap never falls into more than five of them."""


def fill(
    spans: Sequence[Span], begin: float, end: float, silences: Sequence[Silence] = (), least: float = LEAST_GAP
) -> tuple[Span, ...]:
    """The spans with gaps between them, so that they cover `begin` to `end`; inside spans with children likewise.

    Gaps that are among the spans already are replaced. A gap is divided where a long silence begins or ends; its
    neighbours are then the lines around the silence, else the phases before and after it. Gaps shorter than `least`
    seconds are left out.
    """
    known = [_inner(span, silences, least) for span in spans if span.phase != "gap"]
    timed = sorted((s for s in known if s.start is not None and s.end is not None), key=lambda s: s.start or 0.0)
    gaps: list[Span] = []
    reached, before = begin, None
    for span in timed:
        if span.start is not None and span.start > reached:
            gaps += _gaps(reached, min(span.start, end), before, span, silences, least)
        if span.end is not None and span.end > reached:
            reached, before = span.end, span
    if timed or silences:
        gaps += _gaps(reached, end, before, None, silences, least)
    return in_order([*known, *gaps]) if not gaps else _merged(known, gaps)


def _merged(known: Sequence[Span], gaps: Sequence[Span]) -> tuple[Span, ...]:
    untimed = [span for span in known if span.start is None]
    timed = [*(span for span in known if span.start is not None), *gaps]
    return (*sorted(timed, key=lambda span: span.start or 0.0), *untimed)


def _inner(span: Span, silences: Sequence[Silence], least: float) -> Span:
    children = [child for child in span.children if child.phase != "gap"]
    if not children or span.start is None or span.end is None:
        return replace(span, children=tuple(children))
    return replace(span, children=fill(children, span.start, span.end, silences, least))


def _gaps(
    begin: float, end: float, before: Span | None, after: Span | None, silences: Sequence[Silence], least: float
) -> list[Span]:
    if end - begin < least:
        return []
    limit = max(_LEAST_SILENCE, _LEAST_SILENCE_SHARE * (end - begin))
    long = sorted(
        (s for s in silences if min(s.end, end) - max(s.start, begin) >= limit), key=lambda silence: silence.start
    )
    found: list[Span] = []
    reached = begin
    names = (_name(before, "the beginning"), _name(after, "the end"))
    for silence in long:
        start, stop = max(silence.start, begin), min(silence.end, end)
        if start - reached >= least:
            found.append(_gap(reached, start, names, ()))
        elif found or start > reached:
            start = reached
        found.append(_gap(start, stop, silence.texts, silence.lines))
        reached = stop
    if end - reached >= least:
        found.append(_gap(reached, end, names, ()))
    return found


def _gap(start: float, end: float, neighbours: tuple[str, str], lines: tuple[int, ...]) -> Span:
    before, after = neighbours
    shown = (without_secrets(before), without_secrets(after))
    return Span("gap", end - start, start, end, "gap", lines, neighbours=shown)


def _name(span: Span | None, otherwise: str) -> str:
    return otherwise if span is None else span.phase
