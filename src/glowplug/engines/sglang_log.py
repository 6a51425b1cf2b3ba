"""The log of SGLang, 0.4 to 0.5.23.

Every line carries the time and, with several ranks, the rank: `[2026-01-04 07:00:33 DP0 TP0 EP0] ...`. Until 0.5.6 the
seconds of most phases follow from two stamps, from 0.5.7 on lines tell them (`elapsed=`). A draft model goes through
the same phases again. The server then sends itself a first request; "fired up" is its answer.
"""

from glowplug.coldstart.grammar import Grammar, Interval, Level, Line, Ready
from glowplug.engines.huggingface_log import DOWNLOAD
from glowplug.engines.lmcache_log import LMCACHE
from glowplug.engines.uvicorn_log import UVICORN

_ELAPSED = r"elapsed=(?P<seconds>[\d.]+) ?s"
_ARGUMENTS = (
    "load_format", "dtype", "quantization", "kv_cache_dtype", "context_length", "mem_fraction_static",
    "max_total_tokens", "tp_size", "dp_size", "pp_size", "device", "download_dir", "attention_backend",
    "disable_cuda_graph", "cuda_graph_max_bs", "cuda_graph_max_bs_decode", "disable_prefill_cuda_graph",
    "disable_piecewise_cuda_graph", "enable_torch_compile", "disable_flashinfer_autotune", "speculative_algorithm",
    "speculative_draft_model_path", "skip_server_warmup", "enable_memory_saver", "startup_weight_load_mode",
)  # fmt: skip
"""Arguments of the server that a cold start depends on."""


def _argument(name: str) -> Line:
    return Line(
        text="server_args=",
        pattern=rf"^[^=]{{0,200}}server_args=.*?\b{name}(?:=|': )(?!None\b|False\b)'?(?P<{name}>[^,'()]+)",
        level=Level.NONE,
        weight=0,
    )


def _summary(name: str) -> Line:
    """A number of the summary that SGLang prints of its own start; `GET /server_info` has the same."""
    return Line(text="Engine startup timings (s):", pattern=rf"\b{name}=(?P<n_startup_{name}>[\d.]+)", weight=1)


_FRONTEND = (
    Line(
        text="server_args=",
        pattern=r"server_args=(?:ServerArgs\(model_path=|\{'model_path': )'(?P<model>[^']+)'",
        mark="server_args",
        level=Level.FRONTEND,
        weight=5,
    ),
    *(_argument(name) for name in _ARGUMENTS),
)

_DISTRIBUTED = (
    Line(text="Init torch distributed begin", mark="dist_begin", weight=3),
    Line(text="Init torch distributed ends", mark="dist_end", weight=3),
    Line(text="Init torch distributed ends", pattern=_ELAPSED, phase="dist_init"),
    Line(text="Init parallel begin", mark="dist_begin", weight=3),
    Line(text="Init parallel ends", mark="dist_end", weight=3),
    Line(text="Init parallel ends", pattern=_ELAPSED, phase="dist_init"),
)

_LOADING = (
    Line(text="Load weight begin", mark="weights_begin", weight=3),
    Line(text="Found local HF snapshot for", pattern=r"at (?P<snapshot>\S+); (?P<download_skipped>skipping download)"),
    Line(text="; will attempt download", pattern=r"(?P<download_needed>will attempt download)"),
    Line(text="Will download missing files", pattern=r"(?P<download_needed>Will download missing files)"),
    Line(text="Load weight end", mark="weights_end", weight=3),
    Line(
        text="Load weight end",
        pattern=r"type=(?P<architecture>\w+)(?:, dtype=(?P<weights_dtype>[\w.]+))?(?:, quant=(?P<quant>[\w.-]+))?",
    ),
    Line(text="Load weight end", pattern=_ELAPSED, phase="weights_load"),
    # --startup-weight-load-mode overlap: the real weights come after the graphs, read ahead meanwhile.
    Line(
        text="Prepared capture-safe model in",
        pattern=r"in (?P<seconds>[\d.]+) s",
        phase="model_load",
        key="",
        label="placeholder for graph capture",
    ),
    Line(
        text="Committed real weights after CUDA graph capture in",
        pattern=r"capture in (?P<seconds>[\d.]+) s(?: \(capture overlap window (?P<n_weights_overlap_window>[\d.]+) s, "
        r"startup overlap total (?P<n_weights_overlap_total>[\d.]+) s)?",
        phase="weights_load",
        label="after graph capture",
        weight=3,
    ),
    Line(
        text="checkpoint shards:",
        pattern=r"^.*\| \d+/\d+ \[(?P<clock>[\d:]+)<",
        phase="weights_load",
        key="",
        bar=True,
        weight=0,
    ),
    Line(
        text="Multi-thread loading shards:",
        pattern=r"^.*\| \d+/\d+ \[(?P<clock>[\d:]+)<",
        phase="weights_load",
        key="",
        bar=True,
    ),
)

_MEMORY = (
    Line(text="KV Cache is allocated", pattern=r"#tokens: (?P<kv_tokens>\d+)"),
    Line(text="KV Cache VA upper bound", pattern=r"#tokens: (?P<kv_tokens>\d+)"),
    Line(text="Memory pool end", mark="pool_end", weight=2),
    Line(text="Init attention backend begin", mark="attention_begin"),
    Line(
        text="Init attention backend end",
        pattern=_ELAPSED,
        phase="engine_init",
        key="attention_backend",
        label="attention backend",
    ),
)

_GRAPHS = (
    Line(text="graph begin.", pattern=r"Capture [\w -]{0,60}(?:cuda|CUDA|CPU|NPU|XPU) graph begin", mark="graph_begin"),
    Line(
        text="graph end.",
        pattern=r"Capture [\w -]{0,60}(?:cuda|CUDA|CPU|NPU|XPU) graph end",
        mark="graph_end",
        weight=2,
    ),
    Line(
        text="graph end.",
        pattern=r"Capture (?!piecewise)(?:(?P<label>[\w -]{1,60}?) )?(?:cuda|CUDA|CPU|NPU|XPU) graph end\."
        r".*?(?:Time elapsed: |elapsed=)(?P<seconds>[\d.]+) ?s",
        phase="graph_capture",
        label="decode",
    ),
    Line(
        text="Capture piecewise CUDA graph end",
        pattern=r"(?:Time elapsed: |elapsed=)(?P<seconds>[\d.]+) ?s",
        phase="graph_capture",
        label="piecewise, for the prefill",
    ),
    Line(text="Capture cuda graph bs [", pattern=r"bs (?P<graph_sizes>\[[\d, ]+\])"),
    Line(text="graph begin. backend=", pattern=r"\bbs=(?P<graph_sizes>\[[\d, ]+\])"),
    Line(
        text="Capturing batches (bs=",
        pattern=r"^.*\| \d+/(?P<graphs>\d+) \[(?P<clock>[\d:]+)<",
        phase="graph_capture",
        key="",
        bar=True,
    ),
    Line(
        text="Capturing num tokens (num_tokens=",
        pattern=r"^.*\| \d+/(?P<prefill_graphs>\d+) \[(?P<clock>[\d:]+)<",
        phase="graph_capture",
        key="",
        label="prefill",
        bar=True,
    ),
    Line(
        text="Compiling num tokens (num_tokens=",
        pattern=r"^.*\| \d+/\d+ \[(?P<clock>[\d:]+)<",
        phase="torch_compile",
        key="",
        bar=True,
    ),
)

_KERNELS = (
    Line(text="Running FlashInfer autotune", mark="autotune_begin", weight=1),
    Line(text="Running FlashInfer autotune with cache:", pattern=r"cache: (?P<autotune_cache>\S+)"),
    Line(text="FlashInfer autotune completed", mark="autotune_end", weight=1),
    Line(text="Loading JIT ops:", mark="jit_begin", weight=0),
    Line(text="Finished loading JIT ops:", mark="jit_end", weight=0),
    Line(
        text="DeepGEMM warmup",
        pattern=r"^.*\| \d+/\d+ \[(?P<clock>[\d:]+)<",
        phase="kernel_warmup",
        key="",
        label="DeepGEMM",
        bar=True,
        weight=0,
    ),
)

_SERVING = (
    Line(text="max_total_num_tokens=", pattern=r"max_total_num_tokens=\d+, ", mark="scheduler_ready", weight=3),
    *(_summary(name) for name in ("load_weight", "kv_cache_allocation", "scheduler_e2e", "tokenizer_e2e")),
    *UVICORN,
    Line(text="The server is fired up and ready to roll", mark="fired_up", weight=5),
)

GRAMMAR = Grammar(
    engine="sglang",
    lines=(*_FRONTEND, *_DISTRIBUTED, *_LOADING, *_MEMORY, *_GRAPHS, *_KERNELS, *_SERVING, *DOWNLOAD, *LMCACHE),
    intervals=(
        Interval(phase="config_tokenizer", begin=("server_args",), end=("dist_begin",)),
        Interval(phase="dist_init", begin=("dist_begin",), end=("dist_end",), each=True),
        Interval(phase="weights_load", begin=("weights_begin",), end=("weights_end",), each=True),
        Interval(phase="profile_kv", begin=("weights_end",), end=("pool_end",), each=True),
        Interval(phase="kernel_warmup", begin=("autotune_begin",), end=("autotune_end",), each=True, label="autotune"),
        Interval(phase="kernel_warmup", begin=("jit_begin",), end=("jit_end",), each=True, key="jit", label="JIT"),
        Interval(phase="graph_capture", begin=("graph_begin",), end=("graph_end",), each=True),
        Interval(phase="server_init", begin=("last:scheduler_ready",), end=("app_startup",)),
        Interval(phase="first_token", begin=("app_startup",), end=("fired_up",)),
    ),
    total=(
        Interval(phase="total", begin=("server_args", "dist_begin"), end=("fired_up",)),
        Interval(phase="total", begin=("server_args", "dist_begin"), end=("app_startup",)),
    ),
    ready=(Ready(mark="fired_up"), Ready(mark="app_startup")),
    inside={"weights_download": "weights_load", "torch_compile": "graph_capture"},
    # Ranks wait for each other after every phase, so the numbers of one rank add up to the wall clock, and those of
    # the slowest rank in each phase do not. Stamps of whole seconds make equal ranks differ by one; a rank that is
    # later than that is really slow, and the others waited for it.
    rank_tolerance=1.5,
)
