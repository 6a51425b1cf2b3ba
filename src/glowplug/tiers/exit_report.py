"""What to tell the user when an engine ended although it should not have."""

import re
from collections.abc import Sequence

from glowplug.tiers.base import ExitCause

_TROUBLE = re.compile(r"error|exception|fail|fatal|abort|cannot|could not|killed|panic", re.IGNORECASE)
_LINES = 50
_LONGEST = 500


def exit_report(cause: ExitCause, output: Sequence[str]) -> str:
    """How the engine ended and the line of its output that says most about it."""
    line = telling_line(output)
    said = f'; it said "{line[:_LONGEST]}"' if line else "; it printed nothing"
    return f"The engine {cause}{said}."


def telling_line(output: Sequence[str]) -> str | None:
    """The line that most likely says what went wrong: the last one with a word of trouble, else the last one."""
    lines = [line.strip() for line in output[-_LINES:] if line.strip()]
    return next((line for line in reversed(lines) if _TROUBLE.search(line)), lines[-1] if lines else None)
