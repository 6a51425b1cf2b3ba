"""What rules look at: seconds of phases and the lines that tell of them."""

from glowplug.coldstart.values import ColdStart

WORTH_IT = 1.0
"""Seconds. Less is not worth a line of advice, nor a change of configuration."""


def seconds(start: ColdStart, *names: str) -> float:
    """The first of these reported numbers that there is; 0.0 if there is none."""
    for name in names:
        if name in start.reported:
            return float(start.reported[name])
    return 0.0


def lines(start: ColdStart, *phases: str) -> tuple[int, ...]:
    """First and last line of the log that tell of these phases; empty if none does."""
    found = [line for span in start.walk() if span.phase in phases for line in span.lines]
    return (min(found), max(found)) if found else ()


def is_server_of(start: ColdStart, *engines: str) -> bool:
    """Whether the start is one of these engines."""
    return start.engine in engines
