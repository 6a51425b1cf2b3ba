import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.events import Silence
from glowplug.coldstart.gaps import LEAST_GAP, fill
from glowplug.coldstart.values import Span


def span(start: float, end: float, phase: str = "model_load", *children: Span) -> Span:
    return Span(phase, end - start, start, end, children=children)


def silence(start: float, end: float) -> Silence:
    return Silence(start, end, (3, 4), ("before it", "after it"))


def gaps(spans: tuple[Span, ...]) -> list[tuple[float | None, float | None]]:
    return [(found.start, found.end) for found in spans if found.phase == "gap"]


times = st.integers(0, 1000).map(lambda tenths: tenths / 10)
timed = st.builds(lambda start, length: span(start, start + length), times, times)
untimed = st.just(Span("warmup", 2.0))
inner = st.builds(lambda outer, children: span(outer[0], outer[0] + outer[1], "engine_init", *children),
                  st.tuples(times, times), st.lists(timed, max_size=4))  # fmt: skip
silences = st.lists(times, max_size=12, unique=True).map(
    lambda ends: [silence(start, end) for start, end in zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False)]
)
"""As a clock has them, one after another."""


def uncovered(spans: tuple[Span, ...], begin: float, end: float) -> float:
    """The longest time between `begin` and `end` that no span covers."""
    longest, reached = 0.0, begin
    for start, stop in sorted((s.start, s.end) for s in spans if s.start is not None and s.end is not None):
        longest = max(longest, min(start, end) - reached)
        reached = max(reached, stop)
    return max(longest, end - reached)


@given(spans=st.lists(timed | inner | untimed, min_size=1, max_size=6), end=times, quiet=silences)
def test_spans_and_gaps_cover_all_of_the_time(spans: list[Span], end: float, quiet: list[Silence]) -> None:
    filled = fill(spans, 0.0, end, quiet)
    if any(found.start is not None for found in spans) or quiet:
        assert uncovered(filled, 0.0, end) < LEAST_GAP + 1e-9
    for root in filled:
        for around in root.walk():
            if around.children and around.start is not None and around.end is not None:
                assert uncovered(around.children, around.start, around.end) < LEAST_GAP + 1e-9


@given(spans=st.lists(timed | untimed, max_size=6), end=times, quiet=silences)
def test_gaps_overlap_nothing_and_each_other_least_of_all(spans: list[Span], end: float, quiet: list[Silence]) -> None:
    filled = [found for found in fill(spans, 0.0, end, quiet) if found.start is not None and found.end is not None]
    for gap in filled:
        if gap.phase == "gap":
            assert gap.start is not None and gap.end is not None
            assert gap.seconds == pytest.approx(gap.end - gap.start)
            assert gap.start >= 0.0
            assert gap.end <= end
            for other in filled:
                if other is not gap and other.start is not None and other.end is not None:
                    assert min(gap.end, other.end) - max(gap.start, other.start) <= 1e-9


@given(spans=st.lists(timed | inner | untimed, max_size=5), end=times, quiet=silences)
def test_filling_again_changes_nothing(spans: list[Span], end: float, quiet: list[Silence]) -> None:
    filled = fill(spans, 0.0, end, quiet)
    assert fill(filled, 0.0, end, quiet) == filled


def test_a_gap_names_its_two_neighbours() -> None:
    filled = fill([span(2, 5, "dist_init"), span(8, 9, "warmup")], 0.0, 12.0)
    assert [(found.phase, found.neighbours) for found in filled if found.phase == "gap"] == [
        ("gap", ("the beginning", "dist_init")),
        ("gap", ("dist_init", "warmup")),
        ("gap", ("warmup", "the end")),
    ]


def test_a_long_silence_is_a_gap_of_its_own_with_its_lines() -> None:
    filled = fill([span(0, 1)], 0.0, 20.0, [silence(4, 16), silence(17, 18)])
    assert gaps(filled) == [(1, 4), (4, 16), (16, 20)]
    quiet = filled[2]
    assert (quiet.neighbours, quiet.lines) == (("before it", "after it"), (3, 4))


def test_what_is_shorter_than_the_least_is_no_gap() -> None:
    assert gaps(fill([span(0, 1), span(1.9, 3)], 0.0, 3.5, (), 1.0)) == []
    assert gaps(fill([span(0, 1), span(2.1, 3)], 0.0, 3.5, (), 1.0)) == [(1, 2.1)]


def test_without_any_time_there_is_no_gap() -> None:
    assert fill([Span("warmup", 2.0)], 0.0, 10.0) == (Span("warmup", 2.0),)
