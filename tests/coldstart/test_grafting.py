"""Spans of one source put into the tree of another."""

from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.grafting import graft
from glowplug.coldstart.values import Span


def span(phase, start, end, *children):
    return Span(phase, end - start, start, end, children=children)


def shape(spans):
    return [(each.phase, shape(each.children)) if each.children else each.phase for each in spans]


def test_a_span_goes_into_the_innermost_one_that_holds_it():
    own = (span("process_start", 0, 1), span("engine_init", 1, 10, span("model_load", 2, 6)))
    assert shape(graft(own, [span("weights_load", 3, 5)])) == [
        "process_start",
        ("engine_init", [("model_load", ["weights_load"])]),
    ]


def test_a_span_takes_in_those_that_it_holds():
    own = (span("weights_load", 3, 5), span("dynamo", 7, 8), span("canary", 20, 21))
    grown = graft(own, [span("engine_init", 1, 10)])
    assert shape(grown) == [("engine_init", ["weights_load", "dynamo"]), "canary"]


def test_spans_that_overlap_only_in_part_stand_side_by_side_in_the_order_of_their_starts():
    assert shape(graft((span("model_load", 2, 6),), [span("dynamo", 1, 3), span("inductor", 5, 9)])) == [
        "dynamo",
        "model_load",
        "inductor",
    ]


def test_a_span_that_stands_out_by_a_few_milliseconds_is_inside():
    assert shape(graft((span("engine_init", 1, 10),), [span("model_load", 0.995, 9)])) == [
        ("engine_init", ["model_load"])
    ]


def test_a_short_span_right_after_a_long_one_is_not_inside():
    own = (span("python_import", 0, 1), span("model_load", 1.002, 2))
    assert shape(graft(own, [span("server_init", 1, 1.002), span("warmup", 2, 2)])) == [
        "python_import",
        "server_init",
        "model_load",
        "warmup",
    ]


def test_gaps_are_left_out_and_spans_without_times_stay():
    own = (span("engine_init", 0, 10),)
    untimed = Span("weights_download", 3)
    assert shape(graft(own, [span("gap", 1, 2), untimed])) == ["engine_init", "weights_download"]


moments = st.integers(0, 20).map(float)
some_spans = st.lists(st.tuples(moments, moments).map(lambda ends: span("wake", min(ends), max(ends) + 1)), max_size=8)


@given(some_spans, some_spans)
def test_no_span_is_lost_or_changed(own, others):
    def times(spans):
        return sorted((each.start, each.end) for root in spans for each in root.walk())

    assert times(graft(tuple(own), others)) == sorted([*times(own), *times(others)])
