"""Cold starts as real logs tell them, made up."""

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import Activity, ColdStart, LogReport, Ranks, Span

MARKUP = "<script>alert(1)</script>&\"'[bold]\x1b[31m\u202e\ud800\x00模型"
"""Everything that could go wrong in a text from a log."""

VLLM = ColdStart(
    engine="vllm",
    version="0.25.1",
    model="Qwen/Qwen3-14B",
    variant="V1",
    outcome="ready",
    total=184.2,
    started_at="2026-11-23T10:00:00+00:00",
    reported={"weights_load": 5.41, "dynamo": 4.2, "torch_compile_reported": 53.12, "compile_cache_hit": False},
    spans=(
        Span("process_start", 0.8, 0.0, 0.8),
        Span("python_import", 21.2, 0.8, 22.0),
        Span("config_tokenizer", 9.0, 22.0, 31.0, lines=(1, 14)),
        Span("dist_init", 2.0, 31.0, 33.0, lines=(15, 19), ranks=Ranks(4, 1.1, 2.0, 1.4)),
        Span(
            "model_load", 12.0, 33.0, 45.0, "reported", (20, 33),
            children=(
                Span("weights_download", 3.1, 34.0, 37.1, "reported", (22,)),
                Span("weights_load", 5.41, 37.5, 42.91, "reported", (24, 31), ranks=Ranks(4, 5.02, 5.41, 5.1)),
            ),
        ),
        Span(
            "engine_init", 134.0, 45.0, 179.0, "reported", (34, 120),
            children=(
                Span(
                    "torch_compile", 53.12, 46.0, 99.12, "reported", (36, 61),
                    children=(
                        Span("dynamo", 4.2, 46.0, 50.2, "reported", (40,)),
                        Span("inductor", 41.9, 52.0, 93.9, "reported", (44, 58)),
                    ),
                ),
                Span("torch_compile", 4.5, 99.2, 103.7, "reported", (62, 66), label="draft model"),
                Span("profile_kv", 4.0, 104.0, 108.0, lines=(67, 70)),
                Span(
                    "gap", 7.6, 108.0, 115.6, "gap", (70, 71),
                    neighbours=(
                        "(EngineCore_DP0 pid=364) INFO 11-23 10:01:48 [worker.py:76] Available KV cache: 21.4 GiB",
                        "(EngineCore_DP0 pid=364) INFO 11-23 10:01:55 [runner.py:63] Profiling graph memory",
                    ),
                    activity=Activity(
                        7.1, 41_000_000, 0, "computed",
                        (("compile_kernel (triton/compiler.py:288)", 0.81), ("read (io.py:12)", 0.1)),
                    ),
                ),
                Span("graph_capture", 63.0, 115.6, 178.6, lines=(72, 118)),
            ),
        ),
        Span("server_init", 3.0, 179.0, 182.0, lines=(121, 140)),
        Span("first_token", 2.2, 182.0, 184.2),
    ),
    notes=("The log has stamps of whole seconds.",),
    lines=(1, 140),
)  # fmt: skip
"""A vLLM start with nested spans, ranks, a draft model, a gap with its neighbours and what was done in it."""

FAILED = ColdStart(
    engine="vllm",
    version="0.25.1",
    model="org/broken",
    outcome="failed",
    reason="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
    total=38.0,
    spans=(Span("config_tokenizer", 10.0, 0.0, 10.0), Span("model_load", 20.5, 10.0, 30.5, "reported", (9, 12))),
)

UNSTAMPED = ColdStart(
    engine="llama.cpp",
    version="b8680",
    model="gemma.gguf",
    outcome="ready",
    spans=(
        Span("engine_init", 0.35, source="reported", label="fit"),
        Span("model_load", 2.5, source="reported", children=(Span("weights_load", 2.0, source="reported"),)),
        Span("kernel_warmup", 0.0201, source="reported", label="reserve"),
    ),
)
"""A log that tells no time of day and no total."""

QUICK = ColdStart(
    engine="llama.cpp",
    model="tiny",
    outcome="ready",
    total=0.01,
    started_at="2026-11-23T10:00:00.250+00:00",
    woke_from="parked",
    replica="tiny-1",
    spans=(Span("thaw", 0.004, 0.0, 0.004), Span("wake", 0.0, 0.004, 0.004), Span("canary", 0.006, 0.004, 0.01)),
)
"""A wake of ten milliseconds with a span that took no time."""

MINUTE = ColdStart(
    engine="llama.cpp",
    version="b8680",
    model="big.gguf",
    outcome="ready",
    total=60.0,
    spans=(
        Span("process_start", 0.5, 0.0, 0.5),
        Span("model_load", 55.0, 0.5, 55.5, children=(Span("weights_load", 54.0, 1.0, 55.0),)),
        Span("warmup", 3.0, 56.0, 59.0),
    ),
)
"""One minute of an engine that neither compiles nor captures."""

NOTHING = ColdStart(engine="unknown")
"""A start of which nothing is known."""

INSTANT = ColdStart(engine="fake", total=0.0, outcome="ready", spans=(Span("process_start", 0.0, 0.0, 0.0),))
"""A start in which nothing took any time."""

ODD = ColdStart(
    engine="vllm",
    version=MARKUP,
    model=MARKUP,
    outcome="failed",
    reason=MARKUP,
    total=3.0,
    spans=(
        Span("model_load", 1.0, 0.0, 1.0, label=MARKUP),
        Span(
            "gap", 2.0, 1.0, 3.0, "gap", neighbours=(MARKUP, MARKUP),
            activity=Activity(0.0, 0, 0, "waited", ((MARKUP, 1.0),)),
        ),
    ),
    notes=(MARKUP,),
)  # fmt: skip

ALL = {
    "vllm": VLLM, "failed": FAILED, "unstamped": UNSTAMPED, "quick": QUICK, "minute": MINUTE, "nothing": NOTHING,
    "instant": INSTANT, "odd": ODD,
}  # fmt: skip

ADVICE = Advice(
    "The compile cache was missed",
    "torch.compile took 53.12 s because the cache directory was empty.",
    "Keep ~/.cache/vllm on a volume that outlives the container, or set VLLM_CACHE_ROOT to one.",
    49.0,
    (36, 61),
)


def report(*starts: ColdStart, file: str = "vllm.log") -> LogReport:
    """The report on a log that holds these starts."""
    return LogReport(file, starts[-1].engine if starts else "unknown", starts)
