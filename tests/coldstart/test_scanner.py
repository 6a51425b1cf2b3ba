from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart import scanner
from glowplug.coldstart.collector import Collector
from glowplug.coldstart.reading import Reading, read_starts
from glowplug.coldstart.scanner import Scanner
from tests.coldstart.kettle import GRAMMARS, one, read, stamped, start
from tests.coldstart.prefixes import PREFIXES

SERVING = [f'10.0.0.{i % 256}:4711 - "POST /v1/pour HTTP/1.1" 200 OK' for i in range(300)]


def in_pieces(data: bytes, cuts: list[int]) -> Reading:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return read_starts([data[begin:end] for begin, end in pairwise(places)], GRAMMARS)


def text(lines: list[str], end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


def coloured(line: str) -> str:
    head, _, rest = line.partition(") ")
    return f"\x1b[1;36m{head})\x1b[0;0m {rest}" if rest else line


def glued(lines: list[str]) -> list[str]:
    """The states of a bar on one line, and the next line behind them."""
    found: list[str] = []
    bars = ""
    for line in lines:
        if "|##" in line:
            bars += "\r" + line
        else:
            found.append(bars + line)
            bars = ""
    return found


logs = st.builds(
    lambda parts, end, prefix, colour, glue, tail: text(
        [
            prefix.wrap(line)
            for part in parts
            for line in (glued(part) if glue else part)
            for line in [coloured(line) if colour else line]
        ],
        end,
    )
    + tail,
    parts=st.lists(
        st.builds(start, st.integers(0, 3600), fail=st.booleans(), pid=st.integers(1, 3))
        | st.sampled_from([SERVING[:5], ["Kettle sleeps after 2 s"], [""], ["RuntimeError: late"], ["x" * 200]]),
        max_size=5,
    ),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    prefix=st.sampled_from(PREFIXES),
    colour=st.booleans(),
    glue=st.booleans(),
    tail=st.sampled_from([b"", b"(Main pid=1) INFO", b"\xff\x00", b"\r"]),
)  # fmt: skip


@given(data=logs, cuts=st.lists(st.integers(0, 1 << 20), max_size=12))
def test_a_log_in_any_pieces_is_the_same_log(data: bytes, cuts: list[int]) -> None:
    assert in_pieces(data, cuts) == read(data)


@given(data=logs, cuts=st.lists(st.integers(0, 1 << 20), max_size=12), longest=st.integers(40, 400))
def test_lines_too_long_are_cut_in_the_same_places_whatever_the_pieces(
    data: bytes, cuts: list[int], longest: int
) -> None:
    with patch.object(scanner, "_LONGEST", longest):
        assert in_pieces(data, cuts) == read(data)


def test_a_log_cut_at_every_position_is_the_same_log() -> None:
    data = text([*start(), *SERVING[:3], *start(100, fail=True)])
    whole = read(data)
    assert len(whole.starts) == 2
    for cut in range(len(data)):
        assert in_pieces(data, [cut]) == whole
    assert in_pieces(data, list(range(len(data)))) == whole


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_are_counted_as_an_editor_does(end: str, last: bool) -> None:
    lines = ["before", "", *start(), *SERVING, "Kettle sleeps after 2.5 s"]
    data = text(lines, end)
    reading = read(data if last else data.removesuffix(end.encode()))
    assert reading.lines == len(lines)
    (found,) = reading.starts
    assert found.lines == (3, len(lines))
    boiled = next(span for span in found.walk() if span.phase == "graph_capture")
    assert lines[boiled.lines[0] - 1].endswith("Boiled in 3 s, took 0.61 l")
    assert found.reported["sleep"] == 2.5


def test_no_bytes_are_no_lines() -> None:
    assert read(b"") == Reading((), 0, 0)
    assert read(b"\n").lines == 1
    assert read_starts([], GRAMMARS).lines == 0


def test_lines_of_serving_are_passed_over_until_something_begins() -> None:
    """Only the lines that were looked for reach the collector once the engine is ready."""
    taken: list[int] = []

    class Counting(Collector):
        def accept(self, head, number) -> None:
            taken.append(number)
            super().accept(head, number)

    collector = Counting(GRAMMARS)
    reader = Scanner(GRAMMARS, collector)
    first, second = start(), start(4000)
    reader.feed(text([*first, *SERVING, "RuntimeError: one request failed", *second]))
    assert reader.finish() == len(first) + len(SERVING) + 1 + len(second)
    assert taken == [*range(1, len(first) + 1), *range(len(first) + 302, len(first) + 302 + len(second))]
    assert [log.ready for log in (*collector.closed, *collector.open_starts())] == [True, True]


def test_a_start_that_never_ends_is_read_on_by_its_lines() -> None:
    noise = [f"(Element pid=2) {stamped(20 + i / 1000)} no message {i}" for i in range(25_000)]
    lines = start(fail=False)
    found = one([*lines[:-2], *noise, lines[-2]])
    assert found.outcome == "incomplete"
    assert found.reported["graph_capture"] == 3.0
    assert found.lines == (1, len(lines) + len(noise) - 1)
    late = one([*lines[:-2], *noise, "torch.OutOfMemoryError: CUDA out of memory"])
    assert (late.outcome, late.reason) == ("failed", "torch.OutOfMemoryError: CUDA out of memory")


def test_a_line_of_megabytes_is_read_in_parts() -> None:
    bar = "".join(
        f"Boiling bar: {i // 300:3}%|##  | {i}/30000 [{i // 600:02}:{i // 10 % 60:02}<00:01, 9it/s]"
        for i in range(30_000)
    )
    assert len(bar) > 1 << 20
    lines = start()
    found = one([*lines[:-3], bar, lines[-1]])
    assert found.outcome == "ready"
    capture = next(span for span in found.walk() if span.phase == "graph_capture")
    assert capture.seconds == 49 * 60 + 59
    assert found.total == 31.0
