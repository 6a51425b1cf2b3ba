"""Putting spans from one source into the tree of another, by their times."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from glowplug.coldstart.tree import in_order
from glowplug.coldstart.values import Span

_CLOSE = 0.01
_CLOSE_SHARE = 0.1
"""Seconds, and part of its length, by which a span may stand out of the one that it belongs into: a line arrives a
moment after it was written, and the kernel tells the start of a process in steps of 10 ms."""


def graft(spans: Sequence[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    """The tree `spans` with every one of `others` in the innermost span that holds it, and around spans that it holds.

    Others that overlap a span only in part stand beside it, and so do those without times. Gaps among the others are
    left out: what was a gap to one source may be known to the other.
    """
    grown = tuple(spans)
    for other in others:
        if other.phase != "gap":
            grown = _insert(grown, other)
    return grown


def _insert(spans: tuple[Span, ...], other: Span) -> tuple[Span, ...]:
    for place, span in enumerate(spans):
        if _holds(span, other):
            return (*spans[:place], replace(span, children=_insert(span.children, other)), *spans[place + 1 :])
    inside = [span for span in spans if _holds(other, span)]
    around = replace(other, children=in_order([*other.children, *inside])) if inside else other
    return in_order([*(span for span in spans if span not in inside), around])


def _holds(outer: Span, inner: Span) -> bool:
    if outer.start is None or outer.end is None or inner.start is None or inner.end is None:
        return False
    slack = min(_CLOSE, _CLOSE_SHARE * (inner.end - inner.start))
    return outer.start - slack <= inner.start < outer.end and inner.end <= outer.end + slack
