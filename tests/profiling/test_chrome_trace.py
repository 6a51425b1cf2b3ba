"""The trace, checked against the documented fields of the format."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.values import ColdStart, Span
from glowplug.profiling.chrome_trace import chrome_trace
from tests.profiling import samples


def events(*starts: ColdStart, phase: str) -> list[dict]:
    return [event for event in chrome_trace(starts)["traceEvents"] if event["ph"] == phase]


@pytest.mark.parametrize("start", samples.ALL.values(), ids=samples.ALL)
def test_every_event_has_the_fields_of_its_kind(start):
    trace = json.loads(json.dumps(chrome_trace([start])))
    assert trace["displayTimeUnit"] in ("ms", "ns")
    fields = {
        "X": {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"},
        "M": {"name", "ph", "ts", "pid", "tid", "args"},
        "i": {"name", "cat", "ph", "ts", "pid", "tid", "s"},
    }
    for event in trace["traceEvents"]:
        assert set(event) == fields[event["ph"]]
        assert all(isinstance(event[key], int) for key in ("ts", "pid", "tid"))
        assert event["ts"] >= 0 and event.get("dur", 0) >= 0


def test_spans_are_complete_events_in_microseconds():
    inductor = next(event for event in events(samples.VLLM, phase="X") if event["name"] == "inductor")
    assert (inductor["ts"], inductor["dur"], inductor["cat"]) == (52_000_000, 41_900_000, "compile,reported")
    assert inductor["args"] == {"phase": "inductor", "seconds": 41.9, "source": "reported", "log": "lines 44-58"}
    assert len(events(samples.VLLM, phase="X")) == len(list(samples.VLLM.walk()))


def test_a_gap_carries_what_is_known_of_it():
    gap = next(event for event in events(samples.VLLM, phase="X") if event["name"] == "gap")
    assert gap["args"]["details"][2] == "it computed: 7.10 s of CPU time, read 41.0 MB"


def test_each_start_is_a_process_with_a_name():
    names = {
        event["pid"]: event["args"]["name"]
        for event in events(samples.VLLM, samples.QUICK, phase="M")
        if event["name"] == "process_name"
    }
    assert names == {
        1: "vllm V1 0.25.1 · Qwen/Qwen3-14B · ready after 184.20 s",
        2: "llama.cpp · tiny · ready after 10.0 ms",
    }


def test_the_end_is_an_instant():
    (end,) = events(samples.FAILED, phase="i")
    assert (end["ts"], end["s"]) == (38_000_000, "p")
    assert end["name"].startswith("failed after 38.00 s: torch.OutOfMemoryError")


def test_a_span_before_the_first_line_moves_everything_so_that_no_time_is_negative():
    start = ColdStart("any", total=5.0, spans=(Span("python_import", 3.0, -2.0, 1.0), Span("warmup", 1.0, 4.0, 5.0)))
    assert [(event["name"], event["ts"]) for event in events(start, phase="X")] == [
        ("python_import", 0), ("warmup", 6_000_000),
    ]  # fmt: skip


moments = st.floats(0, 100)
some_spans = st.lists(st.builds(lambda a, b: Span("warmup", abs(b - a), min(a, b), max(a, b)), moments, moments))


@given(some_spans, some_spans)
def test_events_of_one_thread_never_cross(outer, inner):
    start = ColdStart("any", spans=(*outer, Span("engine_init", 50.0, 10.0, 60.0, children=tuple(inner))))
    found = events(start, phase="X")
    assert len(found) == len(outer) + len(inner) + 1
    for tid in {event["tid"] for event in found}:
        ends: list[int] = []
        for event in (event for event in found if event["tid"] == tid):
            while ends and ends[-1] <= event["ts"]:
                ends.pop()
            assert not ends or event["ts"] + event["dur"] <= ends[-1]
            ends.append(event["ts"] + event["dur"])


def test_every_thread_has_a_name():
    crossing = (Span("weights_download", 4.0, 0.0, 4.0), Span("weights_load", 4.0, 2.0, 6.0))
    start = ColdStart("any", spans=crossing)
    named = {event["tid"] for event in events(start, phase="M") if event["name"] == "thread_name"}
    assert {event["tid"] for event in events(start, phase="X")} == named == {1, 2}
