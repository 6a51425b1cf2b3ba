"""Reading small logs in tests, and the tree of spans as text that a test can show whole."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from glowplug.coldstart.values import ColdStart, LogReport, Span
from glowplug.profiling.logfile import read_file, read_stream

DATA = Path(__file__).parent / "data"


def report_of(name: str) -> LogReport:
    """The report on a log in the data folder."""
    return read_file(str(DATA / name))


def start_of(name: str) -> ColdStart:
    """The only start in a log in the data folder."""
    (start,) = report_of(name).starts
    return start


def lines_of(name: str) -> list[str]:
    """The lines of a log in the data folder."""
    return (DATA / name).read_bytes().decode().split("\n")


def read(text: str | bytes) -> tuple[ColdStart, ...]:
    """The starts in a log."""
    return read_stream(io.BytesIO(text.encode() if isinstance(text, str) else text), "a log").starts


def outline(start: ColdStart) -> str:
    """The spans of a start, one per line: phase, from when to when (or how long), label, spread over ranks, and the
    two neighbours of a gap, by the first words of each."""
    return "\n".join(_outline(start.spans, ""))


def _outline(spans: Sequence[Span], indent: str) -> Iterator[str]:
    for span in spans:
        times = f"{span.seconds:g} s" if span.start is None else f"{span.start:g} - {span.end:g}"
        ranks = f" ranks {span.ranks.count}: {span.ranks.least:g}..{span.ranks.greatest:g}" if span.ranks else ""
        label = f" ({span.label})" if span.label else ""
        between = "" if span.neighbours is None else " | ".join(("", *(words(text) for text in span.neighbours)))
        yield f"{indent}{span.phase} {times}{label}{ranks}{between}"
        yield from _outline(span.children, indent + "  ")


def words(text: str) -> str:
    """The first three words."""
    return " ".join(text.split()[:3])
