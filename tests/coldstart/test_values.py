"""Cold starts as values and as JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.values import (
    PHASES,
    Activity,
    ColdStart,
    Ranks,
    Span,
    from_json,
    report_to_json,
    to_json,
)
from tests.profiling import samples


@pytest.mark.parametrize("start", samples.ALL.values(), ids=samples.ALL)
def test_json_and_back_is_the_same_start(start):
    assert from_json(json.loads(json.dumps(to_json(start)))) == start


def test_seconds_of_a_phase_are_those_of_its_outermost_spans_together():
    inner = Span("torch_compile", 4.0)
    around = Span("engine_init", 20.0, children=(Span("torch_compile", 5.0, children=(inner,)), inner))
    start = ColdStart("vllm", spans=(around, Span("torch_compile", 1.0)))
    assert start.seconds_of("torch_compile") == 10.0
    assert start.seconds_of("engine_init") == 20.0
    assert start.seconds_of("dynamo") is None


def test_a_report_has_the_starts_in_their_order():
    document = report_to_json(samples.report(samples.FAILED, samples.VLLM))
    assert (document["file"], document["engine"], document["notes"]) == ("vllm.log", "vllm", [])
    assert [start["outcome"] for start in document["starts"]] == ["failed", "ready"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"engine": ...}, "'engine' is missing"),
        ({"spans": ...}, "'spans' is missing"),
        ({"total": "long"}, "'total' is no number"),
        ({"total": True}, "'total' is no number"),
        ({"spans": [{"phase": "gap", "seconds": 1, "start": "early"}]}, "'start' is no number"),
        ({"spans": [{"phase": "gap", "seconds": 1, "neighbours": ["only one"]}]}, "it is no cold start"),
        ({"spans": [{"phase": "gap", "seconds": 1, "ranks": {"count": 2}}]}, "it is no cold start"),
        ({"spans": 3}, "it is no cold start"),
    ],
)
def test_what_is_no_cold_start_is_refused_with_a_reason(change, sentence):
    document = {**to_json(samples.MINUTE), **change}
    document = {key: value for key, value in document.items() if value is not ...}
    with pytest.raises(ValueError, match=sentence):
        from_json(document)


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda value: round(value, 3))
seconds = st.floats(0, 1e6).map(lambda value: round(value, 6))
words = st.text(max_size=12)
activities = st.builds(
    Activity,
    cpu=seconds,
    read=st.integers(0, 1 << 50),
    written=st.integers(0, 1 << 50),
    verdict=st.sampled_from(["computed", "read", "waited"]),
    stacks=st.lists(st.tuples(words, numbers), max_size=2).map(tuple),
)
spans = st.recursive(
    st.builds(
        Span,
        phase=st.sampled_from(PHASES),
        seconds=seconds,
        start=st.none() | seconds,
        end=st.none() | seconds,
        source=st.sampled_from(["reported", "stamps", "gap"]),
        lines=st.lists(st.integers(1, 999), max_size=2).map(tuple),
        label=words,
        ranks=st.none() | st.builds(Ranks, st.integers(1, 9), numbers, numbers, numbers),
        neighbours=st.none() | st.tuples(words, words),
        activity=st.none() | activities,
    ),
    lambda inner: st.builds(Span, phase=st.sampled_from(PHASES), seconds=seconds, children=st.lists(inner).map(tuple)),
    max_leaves=5,
)
starts = st.builds(
    ColdStart,
    engine=words,
    version=st.none() | words,
    model=st.none() | words,
    variant=words,
    outcome=st.sampled_from(["ready", "failed", "incomplete"]),
    reason=st.none() | words,
    total=st.none() | seconds,
    started_at=st.none() | words,
    reported=st.dictionaries(words, st.booleans() | numbers, max_size=3),
    spans=st.lists(spans, max_size=3).map(tuple),
    facts=st.dictionaries(words, words, max_size=3),
    notes=st.lists(words, max_size=2).map(tuple),
    lines=st.lists(st.integers(1, 999), max_size=2).map(tuple),
    conditions=st.dictionaries(words, words, max_size=2),
)


@given(starts)
def test_any_start_survives_json(start):
    assert from_json(json.loads(json.dumps(to_json(start)))) == start


@given(st.recursive(st.none() | st.booleans() | st.integers() | words,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["engine", "spans", "phase", "seconds", "ranks", "neighbours", "activity",
                                         "reported", "lines", "outcome", "children"]), inner, max_size=6)))  # fmt: skip
def test_any_document_is_a_start_or_refused_with_a_reason(document):
    try:
        start = from_json(document)
    except ValueError as error:
        assert "it is no cold start" in str(error)
    else:
        assert isinstance(start, ColdStart)
