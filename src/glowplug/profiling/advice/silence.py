"""Advice about time that nobody explains."""

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import ColdStart

_LONG = 20.0
_LARGE_SHARE = 0.1
"""A gap of so many seconds, and so large a part of a start, deserves a closer look."""


def unexplained(start: ColdStart) -> Advice | None:
    """The engine said nothing for long, and nothing else shows what it did."""
    gaps = [span for span in start.walk() if span.phase == "gap" and span.activity is None and span.neighbours]
    if not gaps or start.total is None:
        return None
    longest = max(gaps, key=lambda span: span.seconds)
    if longest.seconds < max(_LONG, _LARGE_SHARE * start.total) or longest.neighbours is None:
        return None
    before, after = longest.neighbours
    return Advice(
        "a long time is unexplained",
        f'Between "{before.strip()[:80]}" and "{after.strip()[:80]}" the engine says nothing for '
        f"{longest.seconds:.1f} s.",
        "glowplug profile --py-spy -- COMMAND shows whether it computes, reads or waits there, and in which function",
        None,
        longest.lines,
    )
