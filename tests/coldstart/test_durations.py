from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.durations import Piece, combine, number_of, seconds_of
from glowplug.coldstart.events import Event
from glowplug.coldstart.grammar import Grammar, Interval, Level, Line, Ready
from tests.coldstart.kettle import KETTLE, one, read, stamped, start


def event(**values: str) -> Event:
    return Event(KETTLE.lines[0], 1, None, None, "", values, "")


def piece(seconds: float, process: str, label: str = "") -> Piece:
    return Piece("model_load", seconds, 1.0, 1.0 + seconds, process, (7,), "reported", label, "model_load")


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({"seconds": "4.25"}, 4.25),
        ({"seconds": "-0.41"}, -0.41),
        ({"seconds": "12"}, 12.0),
        ({"milliseconds": "20.10"}, 0.0201),
        ({"clock": "07"}, 7.0),
        ({"clock": "01:41"}, 101.0),
        ({"clock": "1:02:03"}, 3723.0),
        ({"seconds": "1.2.3"}, None),
        ({"seconds": "."}, None),
        ({"seconds": "9" * 400}, None),
        ({"milliseconds": ".."}, None),
        ({"clock": "::"}, None),
        ({"clock": "1:2:3:4"}, None),
        ({}, None),
    ],
)
def test_a_duration_is_read_in_every_form(values: dict[str, str], seconds: float | None) -> None:
    assert seconds_of(event(**values)) == pytest.approx(seconds)


@given(st.text(alphabet="0123456789.-einfa_", max_size=30))
def test_a_number_is_one_that_can_be_counted_with_and_written_as_json(text: str) -> None:
    value = number_of(text)
    assert value is None or abs(value) < 1e12


def test_the_slowest_rank_stands_for_all_and_the_spread_is_told() -> None:
    spans, seconds = combine([piece(4.0, "TP0 pid=1"), piece(6.5, "TP1"), piece(5.0, "TP2")], 0.0)
    assert seconds == 6.5
    (span,) = spans
    assert span.seconds == 6.5
    assert span.ranks is not None
    assert (span.ranks.count, span.ranks.least, span.ranks.greatest, span.ranks.first) == (3, 4.0, 6.5, 4.0)


def test_ranks_that_differ_by_less_than_the_tolerance_are_equal() -> None:
    pieces = [piece(4.4, "TP10"), piece(4.0, "TP0"), piece(4.3, "TP2")]
    assert combine(pieces, 0.5)[1] == 4.0
    assert combine(pieces, 0.3)[1] == 4.4


def test_what_one_rank_does_twice_is_summed() -> None:
    spans, seconds = combine([piece(4.0, "TP0"), piece(5.0, "TP1"), piece(2.5, "TP0", "draft model")], 0.0)
    assert seconds == 6.5
    assert [(span.seconds, span.label) for span in spans] == [(4.0, ""), (2.5, "draft model")]
    assert combine([piece(4.0, "TP0"), piece(2.5, "TP0")], 0.0)[0][0].ranks is None
    assert spans[0].ranks is not None
    assert spans[1].ranks is None


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["", "TP0", "TP1", "Worker 3"])), min_size=1, max_size=12))
def test_a_phase_takes_as_long_as_its_slowest_process(told: list[tuple[float, str]]) -> None:
    spans, seconds = combine([piece(value, process) for value, process in told], 0.0)
    sums = {name: sum(value for value, process in told if process == name) for _, name in told}
    assert seconds == max(sums.values())
    assert sum(span.seconds for span in spans) == pytest.approx(seconds)


def test_a_reported_duration_counts_before_stamps_and_stamps_before_a_bar() -> None:
    lines = start()
    assert one(lines).seconds_of("graph_capture") == 3.0
    silent = [line for line in lines if "Boiled" not in line]
    capture = next(span for span in one(silent).walk() if span.phase == "graph_capture")
    assert (capture.seconds, capture.source) == (3.0, "reported")
    assert one([line for line in silent if "Boiling" not in line]).seconds_of("graph_capture") is None


def test_a_bar_without_a_time_begins_after_the_last_line_that_has_one() -> None:
    lines = [line for line in start() if "Filling took" not in line]
    fill = next(span for span in one(lines).walk() if span.phase == "weights_load")
    assert (fill.start, fill.end) == (7.0, 11.0)


def test_a_phase_that_the_log_ends_in_is_unfinished() -> None:
    found = one([*start()[:3], f"(Element pid=2) {stamped(6)} Something", f"(Element pid=2) {stamped(9)} Still"])
    waiting = next(span for span in found.spans if span.phase == "dist_init")
    assert (waiting.label, waiting.start, waiting.end) == ("unfinished", 5.0, 9.0)
    assert "dist_init" not in found.reported


MARKS = (
    Line(text="one", mark="one", level=Level.ENGINE),
    Line(text="two", mark="two"),
    Line(text="three", mark="three"),
    Line(text="end", mark="end"),
)
TIMES = (("one", 0), ("note", 1), ("two", 2), ("three", 5), ("note", 6), ("two", 7), ("end", 9))


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (("one",), ("two",), (0.0, 2.0)),
        (("absent", "one"), ("absent", "three"), (0.0, 5.0)),
        (("first",), ("end",), (0.0, 9.0)),
        (("three",), ("two",), (5.0, 7.0)),
        (("one",), ("last:two",), (0.0, 7.0)),
        (("one",), ("before:two",), (0.0, 1.0)),
        (("last:two",), ("end",), (7.0, 9.0)),
        (("two",), ("one",), None),
        (("absent",), ("end",), None),
        (("one",), ("absent",), None),
    ],
)
def test_an_interval_goes_from_mark_to_mark(
    begin: tuple[str, ...], end: tuple[str, ...], expected: tuple[float, float] | None
) -> None:
    grammar = Grammar(
        engine="marks",
        lines=MARKS,
        intervals=(Interval(phase="warmup", begin=begin, end=end),),
        total=(Interval(phase="total", begin=("first",), end=("end",)),),
        ready=(Ready(mark="end"),),
    )
    (found,) = read([f"{stamped(at)} {text}" for text, at in TIMES], (grammar,)).starts
    spans = [(span.start, span.end) for span in found.spans if span.phase == "warmup"]
    assert spans == ([] if expected is None else [expected])
    assert ("warmup" in found.reported) is (expected is not None)


def test_intervals_of_every_process_are_paired_and_summed() -> None:
    lines = [
        f"(TP{rank} pid={rank}) {stamped(at)} {text}"
        for text, rank, at in [
            ("Element begins for 'x'", 0, 0), ("Element begins for 'x'", 1, 0), ("Begins to fill", 0, 3),
            ("Begins to fill", 1, 4), ("Element begins for 'draft'", 0, 10), ("Begins to fill", 0, 12),
        ]
    ]  # fmt: skip
    lines_of_one = tuple(replace(line, level=Level.WORK) for line in KETTLE.lines)
    grammar = Grammar(engine="kettle", lines=lines_of_one, intervals=KETTLE.intervals)
    (found,) = read(lines, (grammar,)).starts
    assert found.reported["dist_init"] == 5.0
    assert [span.seconds for span in found.spans if span.phase == "dist_init"] == [3.0, 2.0]
