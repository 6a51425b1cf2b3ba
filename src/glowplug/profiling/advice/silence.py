"""Advice about time that nobody explains."""

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import ColdStart

_LONG = 20.0
_LARGE_SHARE = 0.1
"""A gap of so many seconds, and so large a part of a start, deserves a closer look."""


def unexplained(start: ColdStart) -> Advice | None:
    """The engine said nothing for long, and nothing else shows what it did.

    The run that profiles memory counts as unexplained too: its first pass through the model compiles kernels without a
    word, which took ten minutes in public logs.
    """
    if start.total is None:
        return None
    spans = [span for span in start.walk() if span.phase in ("gap", "profile_kv") and span.activity is None]
    longest = max(spans, key=lambda span: span.seconds, default=None)
    if longest is None or longest.seconds < max(_LONG, _LARGE_SHARE * start.total):
        return None
    if longest.neighbours is not None:
        before, after = longest.neighbours
        text = (
            f'Between "{before.strip()[:80]}" and "{after.strip()[:80]}" the engine says nothing for '
            f"{longest.seconds:.1f} s."
        )
    else:
        text = f"The profiling run took {longest.seconds:.1f} s, and the engine does not say with what."
    return Advice(
        "a long time is unexplained",
        text,
        "glowplug profile --py-spy -- COMMAND shows whether it computes, reads or waits there, and in which function",
        None,
        longest.lines,
    )
