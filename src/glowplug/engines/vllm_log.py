"""The log of vLLM, 0.6 to 0.32: V0 and V1, the HTTP server and the offline `LLM`.

A line is known by its text; file names and line numbers in it change with every version. What vLLM prints changes its
meaning too: up to 0.10 "torch.compile takes" is Dynamo alone when the cache hits, from 0.19 on it is everything,
the saving of the ahead-of-time artefact included.
"""

from glowplug.coldstart.grammar import Grammar, Interval, Level, Line, Numbers, Ready
from glowplug.engines.lmcache_log import LMCACHE
from glowplug.engines.uvicorn_log import UVICORN

_SECONDS = r"(?P<seconds>-?[\d.]+)"

_FRONTEND = (
    Line(
        text="vLLM API server version",
        pattern=r"version (?P<version>\S+)",
        mark="api",
        level=Level.FRONTEND,
        weight=3,
    ),
    Line(
        text="vLLM server version",
        pattern=r"version (?P<version>[^,\s]+), serving model (?P<model>.+?)\s*$",
        mark="api",
        level=Level.FRONTEND,
        weight=3,
    ),
    Line(
        text="  version ",
        pattern=r"[▄█▀]\s+version (?P<version>\S+)",
        mark="api",
        level=Level.FRONTEND,
        weight=3,
    ),
    Line(text="  model ", pattern=r"[▄█▀]\s+model\s+(?P<model>\S+)", level=Level.NONE, weight=1),
    Line(
        text="non-default args: {",
        pattern=r"non-default args: (?P<arguments>\{.*)",
        mark="args",
        level=Level.FRONTEND,
        weight=2,
    ),
    Line(text="args: Namespace(", pattern=r"args: (?P<arguments>Namespace\(.*)", level=Level.NONE, weight=1),
    Line(text="Automatically detected platform", mark="platform", level=Level.NONE, weight=1),
)

_LOADING = (
    Line(text="Starting to load model ", mark="load_begin"),
    Line(
        text="Time spent downloading weights for",
        pattern=rf": {_SECONDS} seconds",
        phase="weights_download",
        weight=2,
    ),
    Line(text="Loading weights took", pattern=rf"took {_SECONDS} s", phase="weights_load", mark="weights_end"),
    Line(text="Loading drafter model"),
    Line(
        text="Model loading took",
        pattern=rf"took (?P<model_gib>[\d.]+) \w+ (?:memory )?and {_SECONDS} seconds",
        phase="model_load",
        key="model_load_reported",
        weight=2,
    ),
    Line(
        text="checkpoint shards:",
        pattern=r"\| \d+/\d+ \[(?P<clock>[\d:]+)<",
        phase="weights_load",
        key="",
        bar=True,
        weight=0,
    ),
    Line(
        text="Filesystem type for checkpoints",
        pattern=r"checkpoints: (?P<filesystem>[\w.+-]+)\. Checkpoint size: (?P<checkpoint_gib>[\d.]+) GiB"
        r"(?:\. Available RAM: (?P<available_gib>[\d.]+))?",
    ),
)

_COMPILING = (
    Line(
        text="for vLLM's torch.compile",
        pattern=r"cache directory: (?P<compile_cache>\S+)",
        mark="compile_begin",
        weight=2,
    ),
    Line(text="torch.compile cache is disabled", pattern=r"(?P<compile_cache_disabled>disabled)"),
    Line(text="Dynamo bytecode transform time", pattern=rf"time: {_SECONDS} s", phase="dynamo", weight=2),
    Line(
        text="Compiling a graph for",
        pattern=rf"takes {_SECONDS} s",
        phase="inductor",
        flags={"compile_cache_hit": False},
    ),
    Line(
        text="Directly load the compiled graph",
        pattern=rf"from the cache, took {_SECONDS} s",
        phase="inductor",
        label="from the cache",
    ),
    Line(text="Directly load the compiled graph", flags={"compile_cache_hit": True}),
    Line(
        text="Directly load AOT compilation",
        pattern=r"from path (?P<aot_loaded>\S+)",
        flags={"compile_cache_hit": True},
    ),
    Line(
        text="saved AOT compiled function",
        pattern=r"to (?P<aot_saved>\S+)",
        mark="aot_saved",
        flags={"compile_cache_hit": False},
    ),
    Line(
        text="Compiling model again due to a load failure",
        pattern=r"from (?P<aot_failed>\S+?), reason: (?P<aot_failure>.+)",
        mark="compile_again",
        flags={"compile_cache_hit": False},
    ),
    Line(
        text="torch.compile takes",
        pattern=rf"takes {_SECONDS} s in total",
        phase="torch_compile",
        key="torch_compile_reported",
    ),
    Line(
        text="torch.compile took",
        pattern=rf"took {_SECONDS} s in total",
        phase="torch_compile",
        key="torch_compile_reported",
    ),
)

_WARMING = (
    Line(text="Warming up model for the compilation", mark="cpu_warmup"),
    Line(text="Initial profiling/warmup run took", pattern=rf"took {_SECONDS} s", phase="profile_kv", mark="profiled"),
    Line(text="Memory profiling takes", pattern=rf"takes {_SECONDS} seconds", phase="profile_kv"),
    Line(
        text="Profiling CUDA graph memory", pattern=r"memory: (?P<graph_sizes>.+)", mark="graph_memory_begin", weight=2
    ),
    Line(
        text="Estimated CUDA graph memory",
        pattern=r"memory: (?P<graph_gib_estimated>-?[\d.]+) GiB",
        mark="graph_memory_end",
    ),
    Line(text="Available KV cache memory", pattern=r"memory: (?P<kv_gib>-?[\d.]+) GiB", mark="kv"),
    Line(text="GPU KV cache size", pattern=r"size: (?P<kv_tokens>[\d,]+) tokens", mark="kv_size"),
    Line(text="# GPU blocks:", mark="kv_blocks"),
    Line(text="# cuda blocks:", mark="kv_blocks"),
    Line(text="[Autotuner]: Autotuning process starts", mark="autotune_begin", weight=0),
    Line(text="[Autotuner]: Autotuning process ends", mark="autotune_end", weight=0),
    Line(text="FlashInfer autotune cache file", pattern=r"file: (?P<autotune_cache>\S+)"),
    Line(text="No FlashInfer autotune cache entries", pattern=r"(?P<autotune_cache_empty>No FlashInfer autotune)"),
    Line(text="Skipping FlashInfer autotune", pattern=r"(?P<autotune_skipped>Skipping)"),
    Line(text="Capturing the model for CUDA graphs", mark="graph_begin"),
    Line(text="Capturing cudagraphs for", mark="graph_begin"),
    Line(
        text="Capturing CUDA graph",
        pattern=r"\| \d+/(?P<graphs>\d+) \[(?P<clock>[\d:]+)<",
        phase="graph_capture",
        key="",
        bar=True,
        weight=1,
    ),
    Line(
        text="Graph capturing finished in",
        pattern=rf"in {_SECONDS} secs(?:, took (?P<n_graph_mem_gib>-?[\d.]+) GiB)?",
        phase="graph_capture",
        mark="graph_end",
        weight=2,
    ),
    Line(text="DeepGEMM warmup", pattern=r"\| \d+/\d+ \[(?P<clock>[\d:]+)<", phase="kernel_warmup", key="", bar=True),
)

_ENGINE_END = Line(
    text="init engine (profile",
    pattern=rf"took {_SECONDS} s(?:econds)?(?: \(compilation: (?P<n_compilation>[\d.]+) s)?",
    phase="engine_init",
    key="engine_init_reported",
    mark="engine_ready",
    weight=3,
)

_SERVING = (
    Line(
        text="Multi-modal warmup completed in",
        pattern=rf"^Multi-modal warmup completed in {_SECONDS} ?s",
        phase="warmup",
        key="mm_warmup",
        label="multi-modal",
    ),
    Line(text="Starting vLLM API server", mark="server_start", weight=2),
    Line(text="Starting vLLM server on", mark="server_start", weight=2),
    Line(text="Available routes are", mark="routes", weight=0),
    *UVICORN,
)

_OFFLINE = (
    # What a script that measures `LLM()` writes about it in JSON beside vLLM's lines.
    Line(text="llm_init_s", pattern=r"\"llm_init_s\": (?P<n_external_llm_init_s>[\d.]+)", level=Level.NONE, weight=0),
    Line(text="ttft_first_ms", pattern=r"\"ttft_first_ms\": (?P<n_ttft_first_ms>[\d.]+)", level=Level.NONE, weight=0),
    Line(
        # Indented and quoted, or every line of a log in JSON would be looked at for it.
        text='  "timestamp": ',
        pattern=r"^\s*\"timestamp\": \"(?P<at>[\dT:.-]+)\"",
        mark="script",
        level=Level.NONE,
        weight=0,
    ),
)

_SLEEP = (
    Line(text="to fall asleep", pattern=r"It took (?P<n_sleep>[\d.]+) seconds", level=Level.NONE),
    Line(text="to wake up tags", pattern=r"It took (?P<n_wake>[\d.]+) seconds", level=Level.NONE),
)

_COMMON = (*_FRONTEND, *_LOADING, *_COMPILING, *_WARMING, *_SERVING, *_OFFLINE, *_SLEEP, *LMCACHE)

_V1_BEGIN = Line(
    text="Initializing a V1 LLM engine",
    pattern=r"engine \(v(?P<version>[^)]+)\)(?: with config: (?:model=)?'(?P<model>[^']+)')?",
    mark="engine_begin",
    level=Level.ENGINE,
    weight=5,
)
_CONFIG = (
    Line(
        text="Initializing a V1 LLM engine",
        pattern=r"enforce_eager=(?P<enforce_eager>\w+)",
        level=Level.ENGINE,
        weight=0,
    ),
    Line(text="Initializing a V1 LLM engine", pattern=r"load_format='?(?P<load_format>\w+)", level=Level.ENGINE),
)

_INSIDE = {
    "weights_download": "model_load",
    "weights_load": "model_load",
    "dynamo": "torch_compile",
    "inductor": "torch_compile",
    "torch_compile": "engine_init",
    "profile_kv": "engine_init",
    "kernel_warmup": "engine_init",
    "graph_capture": "engine_init",
    "warmup": "server_init",
}

_SILENT = ("No available shared memory broadcast block found",)


def _derive(numbers: Numbers) -> Numbers:
    """What follows from vLLM's own numbers: the part of the engine's initialisation that no line accounts for."""
    found: dict[str, float | bool] = {}
    compilation = numbers.get("compilation")
    if compilation is not None:
        found["torch_compile_reported"] = compilation
    if "engine_init_reported" in numbers and ("torch_compile_reported" in numbers or "dynamo" in numbers):
        parts = numbers.get("dynamo", 0.0) + numbers.get("inductor", 0.0)
        compiled = max(compilation or numbers.get("torch_compile_reported", 0.0), parts)
        rest = numbers["engine_init_reported"] - compiled - numbers.get("graph_capture", 0.0)
        found["profile_kv_derived"] = round(rest, 3)
    if "external_llm_init_s" in numbers:
        found["total"] = numbers["external_llm_init_s"]
    if "ttft_first_ms" in numbers:
        found["first_token"] = numbers["ttft_first_ms"] / 1000
    return found


V1 = Grammar(
    engine="vllm",
    variant="V1",
    lines=(*_COMMON, _V1_BEGIN, *_CONFIG, _ENGINE_END),
    intervals=(
        Interval(phase="python_import", begin=("script",), end=("args",)),
        Interval(phase="config_tokenizer", begin=("api", "args", "first"), end=("engine_begin",)),
        Interval(phase="dist_init", begin=("engine_begin",), end=("load_begin",)),
        # On a CPU nothing tells how long torch.compile took.
        Interval(phase="torch_compile", begin=("compile_again", "cpu_warmup"), end=("aot_saved", "profiled")),
        Interval(phase="kernel_warmup", begin=("autotune_begin",), end=("autotune_end",), each=True, label="autotune"),
        Interval(
            phase="kernel_warmup",
            begin=("graph_memory_begin",),
            end=("graph_memory_end",),
            each=True,
            key="graph_memory_profile",
            label="graph memory",
        ),
        Interval(phase="server_init", begin=("engine_ready",), end=("server_start",)),
    ),
    total=(
        Interval(phase="total", begin=("api", "args", "first"), end=("server_start",)),
        Interval(phase="total", begin=("api", "args", "first"), end=("engine_ready",)),
    ),
    ready=(
        Ready(mark="app_startup"),
        Ready(mark="server_start"),
        Ready(mark="engine_ready", unless="api"),
    ),
    inside=_INSIDE,
    derive=_derive,
    silent=_SILENT,
)

V0 = Grammar(
    engine="vllm",
    variant="V0",
    lines=(
        *_COMMON,
        Line(
            text="Initializing an LLM engine",
            pattern=r"engine \(v(?P<version>[^)]+)\)(?: with config: (?:model=)?'(?P<model>[^']+)')?",
            mark="engine_begin",
            level=Level.ENGINE,
            weight=5,
        ),
        Line(
            text="Initializing a V0 LLM engine",
            pattern=r"engine \(v(?P<version>[^)]+)\)(?: with config: (?:model=)?'(?P<model>[^']+)')?",
            mark="engine_begin",
            level=Level.ENGINE,
            weight=5,
        ),
        Line(text="Loading model weights took", mark="load_end", weight=3),
        Line(text="init engine (profile", pattern=rf"took {_SECONDS} s", phase="engine_init", weight=1),
    ),
    intervals=(
        Interval(phase="config_tokenizer", begin=("api", "args", "first"), end=("load_begin",)),
        Interval(phase="model_load", begin=("load_begin",), end=("load_end",), each=True, key="model_load_wall"),
        Interval(phase="profile_kv", begin=("load_end",), end=("kv_blocks",)),
        Interval(phase="graph_capture", begin=("graph_begin",), end=("graph_end",), each=True),
        Interval(phase="server_init", begin=("graph_end", "kv_blocks"), end=("server_start", "routes")),
    ),
    total=(
        Interval(phase="total", begin=("api", "args", "first"), end=("server_start", "routes")),
        Interval(phase="total", begin=("api", "args", "first"), end=("graph_end", "kv_blocks")),
    ),
    ready=(
        Ready(mark="app_startup"),
        Ready(mark="server_start"),
        Ready(mark="routes"),
        Ready(mark="graph_end", unless="api"),
        Ready(mark="kv_blocks", unless="api"),
    ),
    inside={**_INSIDE, "torch_compile": "profile_kv"},
)

_WORKER_LINES = (
    Line(
        text="Initialized vLLM engine in",
        pattern=r"in (?P<n_worker_engine_init_reported>[\d.]+)s",
        mark="worker_engine",
        weight=3,
    ),
    Line(text="vLLM engines initialized successfully", mark="worker_ready", weight=3),
    Line(text="--- Starting Serverless Worker", mark="worker_started", weight=3),
    Line(text="Starting vLLM: vllm serve", mark="worker_launch", level=Level.FRONTEND, weight=3),
    Line(text="vLLM is healthy", mark="worker_healthy", weight=3),
)


def _derive_worker(numbers: Numbers) -> Numbers:
    found = dict(_derive(numbers))
    if "total" not in numbers and "worker_engine_init_reported" in numbers:
        found["total"] = numbers["worker_engine_init_reported"]
    return found


RUNPOD = Grammar(
    engine="vllm",
    variant="runpod-worker",
    lines=(*V1.lines, *_WORKER_LINES),
    intervals=(
        Interval(phase="config_tokenizer", begin=("api", "args", "first"), end=("engine_begin",), key=""),
        *V1.intervals[2:],
    ),
    total=(
        Interval(phase="total", begin=("first",), end=("worker_started",), outer=True),
        Interval(phase="total", begin=("first",), end=("worker_healthy",), outer=True),
        Interval(phase="total", begin=("first",), end=("worker_started",)),
        Interval(phase="total", begin=("first",), end=("worker_healthy",)),
    ),
    ready=(
        Ready(mark="worker_started"),
        Ready(mark="worker_ready"),
        Ready(mark="worker_engine"),
        Ready(mark="worker_healthy"),
        *V1.ready,
    ),
    inside=_INSIDE,
    derive=_derive_worker,
    silent=_SILENT,
)
