"""What engines say of their own start."""

from glowplug.coldstart.values import ColdStart, Span
from glowplug.profiling import oracles
from glowplug.profiling.otlp_wire import EngineSpan

SECOND = 10**9
EPOCH = 1000 * SECOND


def span(name, process, start, end):
    return EngineSpan(name, process, EPOCH + int(start * SECOND), EPOCH + int(end * SECOND))


SPANS = [
    span("Load weights", "Worker_0", 2, 3),
    span("Load model", "Worker_0", 1.5, 4),
    span("Inductor compilation", "Worker_0", 5, 6),
    span("Inductor compilation", "Worker_0", 7, 8.5),
    span("Inductor compilation", "Worker_1", 5, 7),
    span("Worker init", "Worker_0", 0, 9),
    span("Warmup (CPU)", "Worker_0", 9, 9.001),
]


class Answering:
    """Stands in for an engine that answers one question."""

    def __init__(self, answer):
        self.answer = answer

    async def get_json(self, path):
        assert path == "/server_info"
        return 200, self.answer


async def test_sglang_tells_its_times_by_our_names():
    times = {"load_weight": 0.36, "scheduler_e2e": 9, "cuda_graph": {"prefill": 1.5, "decode": 2}, "odd": "x"}
    assert await oracles.sglang_startup_times(Answering({"startup_time": times})) == {
        "oracle_weights_load": 0.36,
        "oracle_scheduler_e2e": 9.0,
        "oracle_graph_capture": 3.5,
    }


async def test_other_engines_tell_nothing():
    for answer in (None, [], {}, {"startup_time": None}, {"startup_time": 3}):
        assert await oracles.sglang_startup_times(Answering(answer)) == {}


def test_spans_of_one_process_add_up_and_the_slowest_process_counts():
    times = oracles.vllm_startup_times(SPANS)
    assert times == {
        "oracle_weights_load": 1.0,
        "oracle_model_load": 2.5,
        "oracle_inductor": 2.5,
        "oracle_warmup": 0.001,
    }


def test_spans_become_phases_where_the_log_told_none():
    phases = oracles.vllm_phases(SPANS, EPOCH / SECOND, {"weights_load"})
    assert [(each.phase, each.start, each.end, each.source) for each in phases] == [
        ("model_load", 1.5, 4, "reported"),
        ("inductor", 5, 6, "reported"),
        ("inductor", 7, 8.5, "reported"),
    ]


def test_numbers_are_compared_where_the_log_has_them_too():
    start = ColdStart("vllm", reported={"weights_load": 1.1, "inductor": True}, spans=(Span("inductor", 2.0),))
    oracle = {"oracle_weights_load": 1.0, "oracle_inductor": 2.5, "oracle_model_load": 3.0}
    assert oracles.compare(oracle, start) == {
        "weights_load": {"oracle": 1.0, "log": 1.1},
        "inductor": {"oracle": 2.5, "log": 2.0},
    }


def test_spans_are_kept_in_their_order():
    assert [each["name"] for each in oracles.placed(SPANS, EPOCH / SECOND)][:3] == [
        "Worker init",
        "Load model",
        "Load weights",
    ]
