"""What moved between two files."""

from dataclasses import replace

import pytest

from glowplug.coldstart.values import ColdStart, Span
from glowplug.profiling.compare import TOTAL, Threshold, compare, unmatched
from tests.profiling import samples


def starts(*totals: float | None, outcome="ready", **phases: float) -> list[ColdStart]:
    spans = tuple(Span(name, seconds) for name, seconds in phases.items())
    return [ColdStart("vllm", outcome=outcome, total=total, spans=spans) for total in totals]


def one(before: list[ColdStart], after: list[ColdStart]):
    (comparison,) = compare({"": before}, {"": after})
    return comparison


def test_the_greatest_change_stands_first_whichever_way_it_went():
    before = starts(100, model_load=10.0, torch_compile=50.0, graph_capture=20.0)
    after = starts(70, model_load=15.0, torch_compile=10.0, graph_capture=20.5)
    comparison = one(before, after)
    assert [(change.phase, change.seconds, change.ratio) for change in comparison.phases] == [
        ("torch_compile", -40.0, 0.2), ("model_load", 5.0, 1.5), ("graph_capture", 0.5, 1.025),
    ]  # fmt: skip
    assert (comparison.total.seconds, comparison.total.ratio) == (-30.0, 0.7)


def test_several_starts_are_samples_of_which_medians_are_compared():
    comparison = one(starts(10, 12, 50), starts(20, 21))
    assert (comparison.before, comparison.after) == (3, 2)
    assert (comparison.total.before.median, comparison.total.before.least, comparison.total.before.greatest) == (
        12,
        10,
        50,
    )
    assert comparison.total.seconds == 8.5


def test_a_phase_and_the_same_phase_inside_it_count_once():
    outer = Span("torch_compile", 5.0, children=(Span("torch_compile", 4.0),))
    comparison = one([ColdStart("vllm", outcome="ready", spans=(outer,))], starts(None, torch_compile=6.0))
    assert comparison.change("torch_compile").seconds == 1.0


def test_a_phase_of_one_side_only_took_no_time_on_the_other():
    comparison = one(starts(10, dynamo=4.0), starts(10, graph_capture=3.0))
    gone, new = comparison.change("dynamo"), comparison.change("graph_capture")
    assert (gone.seconds, gone.ratio, gone.after.median) == (-4.0, 0.0, None)
    assert (new.seconds, new.ratio, new.before.median) == (3.0, None, None)


def test_a_phase_that_only_some_starts_have_counts_as_zero_in_the_others():
    before = starts(10, gap=9.0) + starts(10) + starts(10)
    assert one(before, starts(10)).change("gap").before.median == 0.0


def test_starts_that_failed_are_left_out_and_told():
    before, after = starts(10) + starts(2, outcome="failed"), starts(11, outcome="ready")
    assert one(before, after).before == 1
    assert list(unmatched({"": before}, {"": after})) == [
        "1 of the starts in the baseline did not become ready and is left out"
    ]
    assert compare({"": before}, {"": starts(1, outcome="incomplete")}) == ()


def test_logs_without_a_total_compare_phases_only():
    comparison = one([samples.UNSTAMPED], [replace(samples.UNSTAMPED, spans=samples.UNSTAMPED.spans[1:])])
    assert (comparison.total.seconds, comparison.total.ratio) == (None, None)
    assert comparison.change("engine_init").seconds == -0.35


def test_scenarios_are_compared_with_their_likes():
    before = {"m/cold": starts(100), "m/parked": starts(1), "m/cached": starts(50)}
    after = {"m/parked": starts(2), "m/cold": starts(100), "m/new": starts(1)}
    found = compare(before, after)
    assert [(each.scenario, each.total.seconds) for each in found] == [("m/cold", 0), ("m/parked", 1)]
    assert list(unmatched(before, after)) == [
        "scenario m/cached is only in the baseline", "scenario m/new is only in the other file",
    ]  # fmt: skip


def test_one_scenario_each_is_compared_whatever_they_are_called():
    (comparison,) = compare({"m/cold": starts(100)}, {"": starts(50)})
    assert comparison.total.seconds == -50
    assert not list(unmatched({"m/cold": starts(100)}, {"": starts(50)}))


@pytest.mark.parametrize(
    ("threshold", "after", "exceeded"),
    [
        (Threshold(share=0.1), 110.0, False),
        (Threshold(share=0.1), 110.1, True),
        (Threshold(seconds=5.0), 105.0, False),
        (Threshold(seconds=5.0), 105.1, True),
        (Threshold(share=0.1, seconds=20.0), 115.0, False),
        (Threshold(share=0.3, seconds=20.0), 125.0, False),
        (Threshold(share=0.1, seconds=20.0), 125.0, True),
        (Threshold(share=0.1), 10.0, False),
        (Threshold(), 100.0, False),
    ],
)
def test_a_threshold_is_exceeded_by_what_is_slower_by_more(threshold, after, exceeded):
    assert threshold.exceeded(one(starts(100), starts(after)).change(TOTAL)) is exceeded


def test_a_phase_that_is_new_exceeds_any_share():
    change = one(starts(10), starts(10, graph_capture=3.0)).change("graph_capture")
    assert Threshold(share=0.5).exceeded(change)
    assert not Threshold(share=0.5, seconds=3.0).exceeded(change)
