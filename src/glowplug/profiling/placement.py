"""Every span of a cold start with a place on the time axis, also where the log does not tell one."""

from collections.abc import Sequence
from dataclasses import dataclass

from glowplug.coldstart.values import ColdStart, Span


@dataclass(frozen=True, slots=True)
class Placed:
    """A span on the time axis.

    Attributes:
        depth: 0 for the outermost spans.
        start, end: seconds since the beginning of the cold start; end is never before start.
        known: whether the log tells this place. If not, the span stands right behind the one before it.
        parent: index of the span around this one in the same sequence; None for the outermost.
    """

    span: Span
    depth: int
    start: float
    end: float
    known: bool
    parent: int | None


def place(start: ColdStart) -> tuple[Placed, ...]:
    """All spans in the order of `ColdStart.walk`."""
    placed: list[Placed] = []
    _place(start.spans, 0.0, 0, None, placed)
    return tuple(placed)


def extent(start: ColdStart, placed: Sequence[Placed]) -> tuple[float, float]:
    """First and last moment of the start and all its spans, in seconds; zero is always among them."""
    moments = [0.0, start.total or 0.0, *(moment for each in placed for moment in (each.start, each.end))]
    return min(moments), max(moments)


def _place(spans: Sequence[Span], cursor: float, depth: int, parent: int | None, placed: list[Placed]) -> None:
    for span in spans:
        begin, end = _ends(span, cursor)
        known = span.start is not None or span.end is not None
        index = len(placed)
        placed.append(Placed(span, depth, begin, end, known, parent))
        _place(span.children, begin, depth + 1, index, placed)
        cursor = end


def _ends(span: Span, cursor: float) -> tuple[float, float]:
    if span.start is not None:
        begin = span.start
    elif span.end is not None:
        begin = span.end - span.seconds
    else:
        begin = cursor
    end = begin + span.seconds if span.end is None else span.end
    return begin, max(begin, end)  # a clock that was set back makes no negative length
