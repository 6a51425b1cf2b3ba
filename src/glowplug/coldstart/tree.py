"""Spans of one start, put inside each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from glowplug.coldstart.values import Span


def nest(spans: Sequence[Span], inside: Mapping[str, str]) -> tuple[Span, ...]:
    """The spans as a tree: each inside a span of the phase that `inside` names for its phase, or of the next phase
    around that one that there is. Among several such spans it goes into the one that it overlaps most."""
    phases = {span.phase for span in spans}
    children: dict[int, list[int]] = {}
    roots: list[int] = []
    for place, span in enumerate(spans):
        around = inside.get(span.phase)
        while around is not None and around not in phases:
            around = inside.get(around)
        if around is None:
            roots.append(place)
            continue
        parents = [other for other, candidate in enumerate(spans) if candidate.phase == around]
        parent = max(parents, key=lambda other: (_overlap(span, spans[other]), -other))
        children.setdefault(parent, []).append(place)

    def build(place: int) -> Span:
        return replace(spans[place], children=in_order(build(child) for child in children.get(place, ())))

    return in_order(build(root) for root in roots)


def in_order(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The spans by their start; one without a time stays behind the one before it."""
    placed: list[tuple[float, Span]] = []
    last = float("-inf")
    for span in spans:
        last = last if span.start is None else span.start
        placed.append((last, span))
    return tuple(span for _, span in sorted(placed, key=lambda pair: pair[0]))


def _overlap(span: Span, around: Span) -> float:
    """Seconds that both have in common; less than 0 is how far they are apart."""
    if span.start is None or span.end is None or around.start is None or around.end is None:
        return 0.0
    return min(span.end, around.end) - max(span.start, around.start)
