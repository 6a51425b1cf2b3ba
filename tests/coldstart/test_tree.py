from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.tree import in_order, nest
from glowplug.coldstart.values import Span

INSIDE = {
    "weights_load": "model_load",
    "model_load": "engine_init",
    "dynamo": "torch_compile",
    "torch_compile": "engine_init",
}
PHASES = ("weights_load", "model_load", "engine_init", "dynamo", "torch_compile", "warmup")


def span(phase: str, start: float | None = None, end: float | None = None) -> Span:
    return Span(phase, 1.0 if start is None or end is None else end - start, start, end)


spans = st.lists(
    st.builds(
        lambda phase, start, seconds, timed: span(phase, start, start + seconds) if timed else span(phase),
        st.sampled_from(PHASES),
        st.floats(0, 50),
        st.floats(0, 50),
        st.booleans(),
    ),
    max_size=10,
)


@given(spans)
def test_every_span_is_in_the_tree_once_and_inside_a_phase_that_may_hold_it(flat: list[Span]) -> None:
    tree = nest(flat, INSIDE)
    found = [inner for root in tree for inner in root.walk()]
    assert sorted((s.phase, s.seconds, s.start or -1) for s in found) == sorted(
        (s.phase, s.seconds, s.start or -1) for s in flat
    )
    phases = {s.phase for s in flat}

    def around(phase: str) -> str | None:
        outer = INSIDE.get(phase)
        while outer is not None and outer not in phases:
            outer = INSIDE.get(outer)
        return outer

    assert all(around(root.phase) is None for root in tree)
    assert all(around(child.phase) == parent.phase for parent in found for child in parent.children)


def test_a_span_goes_into_the_one_that_it_overlaps_most() -> None:
    first, second = span("model_load", 0, 10), span("model_load", 20, 30)
    inner, outside = span("weights_load", 8, 24), span("weights_load", 40, 41)
    tree = nest([first, second, inner, outside], INSIDE)
    assert [[child.start for child in root.children] for root in tree] == [[], [8, 40]]


def test_a_span_skips_a_phase_that_is_not_there() -> None:
    (root,) = nest([span("engine_init", 0, 9), span("weights_load", 1, 2)], INSIDE)
    assert [child.phase for child in root.children] == ["weights_load"]


@given(spans)
def test_spans_stand_in_the_order_of_their_beginnings(flat: list[Span]) -> None:
    starts = [s.start for s in in_order(flat) if s.start is not None]
    assert starts == sorted(starts)
    assert len(in_order(flat)) == len(flat)


def test_a_span_without_a_time_stays_behind_the_one_before_it() -> None:
    late, untimed, early = span("model_load", 5, 6), span("warmup"), span("dynamo", 1, 2)
    assert in_order([late, untimed, early]) == (early, late, untimed)
