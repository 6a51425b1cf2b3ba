"""What must hold for any bytes that are read as a log."""

import io
import json

from glowplug.coldstart.reading import Reader, read_starts
from glowplug.coldstart.values import PHASES, ColdStart, from_json, to_json
from glowplug.engines.logs import GRAMMARS
from glowplug.profiling.logfile import LogError, read_stream


def check_log(data: bytes, size: int) -> tuple[ColdStart, ...]:
    """Read `data` in every way there is, in one piece and in pieces of `size` bytes; gives the starts in it.

    Raises AssertionError if something does not hold that must, and whatever the reader raises, which is nothing.
    """
    whole = read_starts([data], GRAMMARS)
    pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
    assert read_starts(pieces, GRAMMARS) == whole, "pieces"
    for start in whole.starts:
        check_start(start, whole.lines)
    check_stream(data)
    reader = Reader(GRAMMARS, 0.0)
    for number, piece in enumerate(pieces):
        reader.feed_chunk(piece, number / 7)
    reader.phase()
    reader.silences()
    for start in reader.starts():
        check_start(start, whole.lines)
    return whole.starts


def check_stream(data: bytes) -> None:
    """The report on it as a file, or one sentence."""
    try:
        report = read_stream(io.BytesIO(data), "any.log")
    except LogError as error:
        assert str(error), "empty sentence"
        assert "\n" not in str(error), "several lines"
    else:
        assert report.starts, "no starts"


def check_start(start: ColdStart, lines: int) -> None:
    """Everything about a start is in bounds, and it survives JSON and a file."""
    document = json.dumps(to_json(start), allow_nan=False, ensure_ascii=False)
    document.encode()
    assert to_json(from_json(json.loads(document))) == to_json(start), "JSON"
    assert (start.reason is None) == (start.outcome == "ready"), "reason"
    assert start.total is None or start.total >= 0, "total"
    assert all(1 <= line <= lines for line in start.lines), "lines of the start"
    for span in start.walk():
        assert span.phase in PHASES, "phase"
        assert abs(span.seconds) < 1e12, "seconds"
        assert all(1 <= line <= lines for line in span.lines), "lines"
        assert (span.start is None) == (span.end is None), "times"
        if span.phase == "gap":
            assert span.neighbours is not None, "neighbours"
            assert span.start is not None, "gap"
            assert span.seconds >= 0, "gap"
