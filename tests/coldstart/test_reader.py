"""Reading an engine's output while it comes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.reading import Reader
from tests.coldstart.kettle import GRAMMARS, start

UNTIMED = [line.split("] ")[-1] for line in start()]
"""The lines as an engine prints them that tells no times."""
ARRIVALS = [100.0 + at for at in (0.5, 0.5, 5, 7, 9, 11, 12, 13, 14, 26, 29, 30, 31)]


def told(lines: list[str], arrivals: list[float], origin: float = 100.0) -> Reader:
    reader = Reader(GRAMMARS, origin)
    for line, at in zip(lines, arrivals, strict=True):
        reader.feed(line.encode(), at)
    return reader


def test_lines_are_timed_by_their_arrival() -> None:
    for lines in (UNTIMED, start()):
        (found,) = told(lines, ARRIVALS).starts()
        assert found.outcome == "ready"
        phases = [(span.phase, span.start, span.end) for span in found.walk() if span.phase != "gap"]
        assert phases == [
            ("config_tokenizer", 0.5, 5.0),
            ("dist_init", 5.0, 7.0),
            ("model_load", 7.25, 13.0),
            ("weights_load", 7.75, 12.0),
            ("graph_capture", 27.0, 30.0),
            ("server_init", 30.0, 31.0),
        ]
        assert found.spans[0].phase == "gap"
        assert (found.spans[0].start, found.spans[0].end) == (0.0, 0.5)


def test_what_the_engine_does_now_is_known_while_it_does_it() -> None:
    reader = Reader(GRAMMARS, 100.0)
    phases: list[str | None] = []
    assert reader.began() is None
    for line, at in zip(UNTIMED, ARRIVALS, strict=True):
        reader.feed(line.encode(), at)
        phases.append(reader.phase())
    assert reader.began() == 0.5
    assert phases[0] == "config_tokenizer"
    assert phases[2] == "dist_init"
    assert phases[4] == "weights_load"
    assert phases[10] == "graph_capture"
    assert phases[11] == "server_init"


def test_silences_count_from_the_origin() -> None:
    reader = told(UNTIMED, ARRIVALS)
    assert (14.0, 26.0) in [(silence.start, silence.end) for silence in reader.silences()]


def test_an_engine_that_says_nothing_known_has_no_start() -> None:
    reader = told(["hello", "world"], [100.0, 101.0])
    assert reader.starts() == ()
    assert reader.phase() is None


def test_an_engine_that_fails_says_why_at_once() -> None:
    lines = [*UNTIMED[:8], "torch.OutOfMemoryError: CUDA out of memory"]
    (found,) = told(lines, ARRIVALS[:9]).starts()
    assert (found.outcome, found.reason) == ("failed", "torch.OutOfMemoryError: CUDA out of memory")


@given(cuts=st.lists(st.integers(1, 900), max_size=10))
def test_lines_may_come_in_any_pieces(cuts: list[int]) -> None:
    data = "".join(f"{line}\n" for line in UNTIMED).encode()
    whole, pieces = Reader(GRAMMARS), Reader(GRAMMARS)
    whole.feed_chunk(data, 3.0)
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    for begin, end in pairwise(places):
        pieces.feed_chunk(data[begin:end], 3.0)
    assert pieces.starts() == whole.starts()
    assert whole.starts()[0].outcome == "ready"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_may_have_its_end_or_not(end: bytes) -> None:
    reader = Reader(GRAMMARS)
    for line, at in zip(UNTIMED, ARRIVALS, strict=True):
        reader.feed(line.encode() + end, at)
    assert reader.starts()[0].outcome == "ready"
    assert reader.starts()[0].lines == (1, 13)


def test_reading_goes_on_after_it_was_asked() -> None:
    reader = Reader(GRAMMARS, 100.0)
    seen: list[str] = []
    for line, at in zip([*UNTIMED, *UNTIMED], [*ARRIVALS, *(at + 60 for at in ARRIVALS)], strict=True):
        reader.feed(line.encode(), at)
        seen.append("+".join(found.outcome for found in reader.starts()))
    assert list(dict.fromkeys(seen)) == ["incomplete", "ready", "ready+incomplete", "ready+ready"]
