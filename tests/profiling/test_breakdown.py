"""The four lines."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.values import PHASES, ColdStart, Span
from glowplug.profiling.breakdown import FIELD, breakdown
from tests.profiling import samples


def lines(start: ColdStart, **options) -> dict[str, float]:
    found = breakdown(start, **options)
    assert found is not None
    return {part.title: round(part.seconds, 6) for part in found.parts}


def start(*spans: Span, total: float | None = 100.0) -> ColdStart:
    return ColdStart("vllm", outcome="ready", total=total, spans=spans)


def test_the_table_that_people_make_by_hand():
    assert lines(samples.VLLM) == {
        "model load": 12.0,
        "torch.compile": 57.62,  # of the model and of its draft model
        "CUDA graph capture": 63.0,
        "other initialisation": pytest.approx(184.2 - 12.0 - 57.62 - 63.0),
    }


def test_shares_are_parts_of_the_total():
    found = breakdown(samples.VLLM)
    assert found.total == 184.2
    assert found.total_known
    assert [round(part.share, 3) for part in found.parts] == [0.065, 0.313, 0.342, 0.28]


def test_a_phase_and_its_parts_count_once():
    inner = (Span("weights_download", 3.0), Span("weights_load", 4.0, children=(Span("weights_load", 1.0),)))
    assert lines(start(Span("model_load", 7.0, children=inner)), scheme=FIELD)["model load"] == 7.0


def test_parts_of_a_line_without_the_phase_around_them_count():
    spans = Span("engine_init", 50.0, children=(Span("dynamo", 4.0), Span("inductor", 30.0)))
    assert lines(start(spans))["torch.compile"] == 34.0


def test_what_was_compiled_while_the_model_loaded_is_compilation():
    load = Span("model_load", 30.0, children=(Span("torch_compile", 18.0), Span("weights_load", 10.0)))
    found = lines(start(load))
    assert (found["model load"], found["torch.compile"], found["other initialisation"]) == (12.0, 18.0, 70.0)


def test_times_side_by_side_count_once():
    spans = (Span("weights_download", 50.0, 0.0, 50.0), Span("weights_load", 50.0, 10.0, 60.0))
    assert lines(start(*spans), scheme=FIELD)["model load"] == 60.0


def test_a_phase_inside_the_time_of_an_earlier_one_adds_nothing():
    spans = (Span("model_load", 50.0, 0.0, 50.0), Span("graph_capture", 10.0, 20.0, 30.0))
    found = lines(start(*spans))
    assert (found["model load"], found["CUDA graph capture"]) == (50.0, 0.0)


def test_reported_times_stay_exact_although_whole_second_stamps_make_them_overlap():
    spans = (Span("model_load", 12.9, 0.1, 13.0, "reported"), Span("torch_compile", 5.41, 12.59, 18.0, "reported"))
    found = lines(start(*spans))
    assert (found["model load"], found["torch.compile"]) == (12.9, 5.41)


def test_more_reported_time_than_there_was_still_adds_up():
    found = lines(start(Span("model_load", 6.0), Span("graph_capture", 6.0), total=10.0))
    assert found == {
        "model load": 5.0, "torch.compile": 0.0, "CUDA graph capture": 5.0, "other initialisation": 0.0,
    }  # fmt: skip


def test_without_a_total_the_phases_that_the_log_tells_are_the_whole():
    found = breakdown(samples.UNSTAMPED)
    assert not found.total_known
    assert found.total == pytest.approx(0.35 + 2.5 + 0.0201)
    assert lines(samples.UNSTAMPED) == {
        "process start": 0.0, "model load": 2.5, "warm-up": 0.0201, "other initialisation": 0.35,
    }  # fmt: skip


def test_engines_that_neither_compile_nor_capture_have_lines_of_their_own():
    assert lines(samples.MINUTE) == {
        "process start": 0.5, "model load": 55.0, "warm-up": 3.0, "other initialisation": 1.5,
    }  # fmt: skip


def test_but_stand_in_the_same_table_as_others_when_asked_to():
    assert list(lines(samples.MINUTE, scheme=FIELD)) == list(lines(samples.VLLM))


def test_a_replica_that_comes_back_has_lines_of_its_own():
    assert lines(samples.QUICK) == {"image read": 0.0, "restore and wake": 0.004, "check": 0.006, "other": 0.0}


def test_a_start_without_any_number_has_no_table():
    assert breakdown(samples.NOTHING) is None


def test_a_start_that_took_no_time_has_no_shares():
    assert {part.share for part in breakdown(samples.INSTANT).parts} == {0.0}


def test_a_failed_start_shows_what_it_got_done():
    assert lines(samples.FAILED)["model load"] == 20.5


times = st.floats(0, 1000, allow_nan=False)
spans = st.recursive(
    st.builds(Span, st.sampled_from(PHASES), times, st.none() | times, st.none() | times),
    lambda inner: st.builds(
        lambda span, children: replace(span, children=tuple(children)),
        st.builds(Span, st.sampled_from(PHASES), times, st.none() | times, st.none() | times),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)


@given(st.lists(spans, max_size=5), st.none() | times)
def test_the_lines_add_up_to_the_total_whatever_the_log_said(tree, total):
    found = breakdown(ColdStart("any", total=total, spans=tuple(tree)))
    if found is None:
        assert total is None and not tree
        return
    assert all(part.seconds >= 0 for part in found.parts)
    assert sum(part.seconds for part in found.parts) == pytest.approx(found.total, abs=1e-6)
    if total is not None:
        assert found.total == total
