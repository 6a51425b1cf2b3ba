"""Places on the time axis."""

from glowplug.coldstart.values import ColdStart, Span
from glowplug.profiling.placement import extent, place
from tests.profiling import samples


def places(*spans: Span) -> list[tuple[float, float, bool]]:
    return [(each.start, each.end, each.known) for each in place(ColdStart("any", spans=spans))]


def test_spans_stand_where_the_log_says_in_the_order_of_the_tree():
    placed = place(samples.VLLM)
    assert [each.span for each in placed] == list(samples.VLLM.walk())
    assert all(each.known for each in placed)
    dynamo = next(each for each in placed if each.span.phase == "dynamo")
    assert (dynamo.start, dynamo.end, dynamo.depth) == (46.0, 50.2, 2)
    assert placed[dynamo.parent].span.phase == "torch_compile"


def test_spans_without_a_place_stand_behind_each_other_and_inside_their_parent():
    outer = Span("model_load", 5.0, children=(Span("weights_download", 1.0), Span("weights_load", 2.0)))
    assert places(Span("config_tokenizer", 3.0), outer, Span("warmup", 1.0)) == [
        (0.0, 3.0, False), (3.0, 8.0, False), (3.0, 4.0, False), (4.0, 6.0, False), (8.0, 9.0, False),
    ]  # fmt: skip


def test_a_span_without_a_place_stands_behind_a_known_one():
    assert places(Span("model_load", 2.0, 5.0, 7.0), Span("warmup", 1.0))[1] == (7.0, 8.0, False)


def test_one_end_and_the_length_tell_the_other_end():
    assert places(Span("model_load", 2.0, 5.0), Span("warmup", 1.0, end=9.0)) == [(5.0, 7.0, True), (8.0, 9.0, True)]


def test_a_clock_that_was_set_back_makes_no_negative_length():
    assert places(Span("model_load", 0.0, 5.0, 3.0)) == [(5.0, 5.0, True)]


def test_the_extent_covers_spans_before_the_first_line_and_behind_the_total():
    start = ColdStart("any", total=10.0, spans=(Span("python_import", 3.0, -2.0, 1.0), Span("warmup", 2.0, 9.0, 11.0)))
    assert extent(start, place(start)) == (-2.0, 11.0)
    assert extent(samples.NOTHING, ()) == (0.0, 0.0)
