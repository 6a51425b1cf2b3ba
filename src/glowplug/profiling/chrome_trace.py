"""Cold starts as a Chrome trace, which Perfetto and chrome://tracing open.

The format is described in the "Trace Event Format" document of the Chromium project: an object with `traceEvents`;
events of phase `X` (complete) with `ts` and `dur` in microseconds, `M` (metadata) that name processes and threads, and
`i` (instant). Complete events of one thread must lie inside or beside each other, never across.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from glowplug import __version__
from glowplug.coldstart.values import ColdStart
from glowplug.profiling.palette import family_of
from glowplug.profiling.placement import Placed, extent, place
from glowplug.profiling.wording import headline, lines, outcome, scale_of, span_details, span_name

_MICROSECONDS = 1_000_000


def chrome_trace(starts: Sequence[ColdStart]) -> dict[str, Any]:
    """The trace as JSON. Each start is a process that begins at time 0; a span that crosses others gets a further
    thread."""
    events = [event for number, start in enumerate(starts, 1) for event in _process(number, start)]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"producer": f"glowplug {__version__}"},
    }


def _process(pid: int, start: ColdStart) -> Iterator[dict[str, Any]]:
    yield _metadata("process_name", pid, 0, {"name": headline(start)})
    yield _metadata("process_sort_index", pid, 0, {"sort_index": pid})
    placed = place(start)
    low, _ = extent(start, placed)
    lanes = _Lanes()
    for each in sorted(placed, key=lambda each: (each.start, -each.end, each.depth)):
        begin, end = _ticks(each.start - low), _ticks(each.end - low)
        yield {
            "name": span_name(each.span),
            "cat": f"{family_of(each.span.phase).key},{each.span.source}",
            "ph": "X",
            "ts": begin,
            "dur": end - begin,
            "pid": pid,
            "tid": lanes.take(begin, end),
            "args": _arguments(each, start),
        }
    if start.total is not None:
        yield {
            "name": outcome(start), "cat": "outcome", "ph": "i", "s": "p", "ts": _ticks(start.total - low), "pid": pid,
            "tid": 1,
        }  # fmt: skip
    for tid in range(1, lanes.count + 1):
        yield _metadata("thread_name", pid, tid, {"name": "phases" if tid == 1 else f"phases beside them {tid - 1}"})
        yield _metadata("thread_sort_index", pid, tid, {"sort_index": tid})


class _Lanes:
    """Threads on which spans are put so that none of them crosses another one. Spans come in order of their start."""

    def __init__(self) -> None:
        self._open: list[list[int]] = []

    @property
    def count(self) -> int:
        return max(1, len(self._open))

    def take(self, begin: int, end: int) -> int:
        for number, ends in enumerate(self._open, 1):
            while ends and ends[-1] <= begin:
                ends.pop()
            if not ends or end <= ends[-1]:
                ends.append(end)
                return number
        self._open.append([end])
        return len(self._open)


def _arguments(each: Placed, start: ColdStart) -> dict[str, Any]:
    span = each.span
    arguments: dict[str, Any] = {"phase": span.phase, "seconds": round(span.seconds, 6), "source": span.source}
    if span.lines:
        arguments["log"] = lines(span.lines)
    if not each.known:
        arguments["place"] = "not told by the log"
    details = list(span_details(span, scale_of(start)))
    return arguments | ({"details": details} if details else {})


def _metadata(name: str, pid: int, tid: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "M", "ts": 0, "pid": pid, "tid": tid, "args": arguments}


def _ticks(seconds: float) -> int:
    return round(seconds * _MICROSECONDS)
