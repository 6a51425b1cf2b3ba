"""Cold starts as values and as JSON."""

import json

import pytest

from glowplug.coldstart.values import ColdStart, Span, from_json, report_to_json, to_json
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
