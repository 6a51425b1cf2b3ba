"""Reading the log of an engine: from bytes to cold starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glowplug.coldstart.assemble import assemble
from glowplug.coldstart.collector import Collector
from glowplug.coldstart.events import StartLog
from glowplug.coldstart.grammar import Grammar
from glowplug.coldstart.scanner import Scanner
from glowplug.coldstart.values import ColdStart


@dataclass(frozen=True, slots=True)
class Reading:
    """What a log holds: its starts in the order of time, how many earlier ones were too many to keep, its lines."""

    starts: tuple[ColdStart, ...]
    dropped: int
    lines: int


def read_starts(chunks: Iterable[bytes], grammars: Sequence[Grammar]) -> Reading:
    """Everything in a log that comes in chunks of bytes, its lines in the order of time."""
    collector = Collector(grammars)
    scanner = Scanner(grammars, collector)
    for chunk in chunks:
        scanner.feed(chunk)
    scanner.finish()
    return Reading(starts_of(collector), collector.dropped, scanner.line - 1)


def starts_of(collector: Collector) -> tuple[ColdStart, ...]:
    """The starts that a collector has found, those still going on at the end."""
    logs: list[StartLog] = [*collector.closed, *collector.open_starts()]
    starts: list[ColdStart] = []
    for log in logs:
        grammar = collector.grammar_of(log)
        if grammar is not None:
            starts.append(assemble(log, grammar))
    return tuple(starts)
