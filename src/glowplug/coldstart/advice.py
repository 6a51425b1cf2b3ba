"""Advice about a cold start: what would make it faster, and what in the log proves it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to change.

    Attributes:
        title: what is slow, in a few words.
        text: what the log shows, in whole sentences.
        remedy: what to do; names the flag or the variable.
        gain_seconds: how much shorter the start would be; None if the log does not tell.
        lines: first and last line of the log that prove it; empty if no line does.
    """

    title: str
    text: str
    remedy: str
    gain_seconds: float | None = None
    lines: tuple[int, ...] = ()


def advice_to_json(advice: Advice) -> dict[str, Any]:
    """The advice in the form that files and `--format json` show."""
    return {
        "title": advice.title,
        "text": advice.text,
        "remedy": advice.remedy,
        "gain_seconds": None if advice.gain_seconds is None else round(advice.gain_seconds, 6),
        "lines": list(advice.lines),
    }
