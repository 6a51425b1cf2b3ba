"""The logs of LMDeploy, 0.1 to 0.18: turbomind (C++) and pytorch, which share the front and differ in the engine.

At the default log level, WARNING, a start says almost nothing: progress bars, which tell their seconds but not the time
of day, and a few warnings. `--log-level INFO` shows the phases.
"""

from glowplug.coldstart.grammar import Grammar, Interval, Level, Line, Ready
from glowplug.engines.huggingface_log import DOWNLOAD
from glowplug.engines.uvicorn_log import UVICORN

_SECONDS = r"(?P<seconds>[\d.]+)"
_BAR = r"^.*\| \d+/\d+ \[(?P<clock>[\d:]+)<"
_LOGGER = r"(?:^|\blmdeploy - )(?:INFO|WARNING) - (?:\S+\.py:\d+ - )?"
"""What stands before a message; the process ids are there if LMDEPLOY_LOG_PID=1."""

_ARGUMENTS = (
    "model_name", "dtype", "model_format", "tp", "session_len", "max_batch_size", "cache_max_entry_count",
    "quant_policy", "download_dir", "eager_mode",
)  # fmt: skip
"""Settings of the engine that a cold start depends on."""


def _argument(name: str) -> Line:
    return Line(
        text="input backend=",
        pattern=rf"\b{name}=(?!None\b|False\b)'?(?P<{name}>[^,'()]+)",
        level=Level.NONE,
        weight=0,
    )


_FRONTEND = (
    *(_argument(name) for name in _ARGUMENTS),
    Line(text="updated backend_config=", mark="engine_ready", weight=2),
    Line(text="LMDeploy requires transformers version", weight=1, level=Level.NONE),
    Line(
        text="Downloading Model from",
        pattern=r"to directory: .{0,500}?/models/(?P<model>\S+)",
        level=Level.NONE,
        weight=0,
    ),
)

_SERVING = (
    Line(text="HINT:    Please open http", mark="hint", weight=1),
    *UVICORN,
    Line(text="server is gonna mount on:", mark="gradio", weight=1),
    Line(text="Running on local URL:", mark="gradio", weight=0),
)

_COMMON = (*_FRONTEND, *_SERVING, *DOWNLOAD)

_READY = (Ready(mark="app_startup"), Ready(mark="gradio"), Ready(mark="engine_ready", unless="hint"))

TURBOMIND = Grammar(
    engine="lmdeploy",
    variant="turbomind",
    lines=(
        *_COMMON,
        Line(text="input backend=turbomind", mark="input", level=Level.ENGINE, weight=5),
        Line(text="`max_context_token_num`", pattern=r"\[TM\]\[WARNING\]", mark="tm_model", weight=3),
        Line(text=" model params", pattern=r"get \d+ model params", mark="params", weight=2),
        Line(
            text="Convert to turbomind format:", pattern=_BAR, phase="weights_load", mark="weights", bar=True, weight=5
        ),
        Line(
            text="Loading: ",
            pattern=r"^\s*Loading: +\d+%.*\| \d+/\d+ \[(?P<clock>[\d:]+)<",
            phase="weights_load",
            mark="weights",
            bar=True,
        ),
        Line(text="[BlockManager] max_block_count", pattern=r"= (?P<kv_blocks>\d+)", mark="cache", weight=3),
        Line(
            text="Object cache budget:",
            pattern=r"budget: (?P<kv_mb>[\d.]+) MB from free (?P<free_mb>[\d.]+) MB",
            mark="cache",
            weight=3,
        ),
        Line(text="LlamaBatch<T>::Start()", mark="tm_ready", weight=3),
        Line(text="Warm-up lengths:", mark="tune_begin", weight=1),
        Line(
            text="Warm-up finished in",
            pattern=rf"(?:^|\] )Warm-up finished in {_SECONDS} seconds",
            phase="kernel_warmup",
            label="tuning of matrix products",
            weight=2,
        ),
        Line(text=" records imported", pattern=r"\b(?P<gemm_records_imported>\d+) records imported", weight=1),
    ),
    intervals=(
        Interval(phase="config_tokenizer", begin=("first",), end=("before:weights",)),
        Interval(phase="profile_kv", begin=("cache",), end=("tune_begin",)),
        Interval(phase="server_init", begin=("engine_ready",), end=("app_startup",)),
    ),
    total=(
        Interval(phase="total", begin=("first",), end=("app_startup",)),
        Interval(phase="total", begin=("first",), end=("gradio",)),
    ),
    ready=_READY,
    inside={"weights_download": "config_tokenizer"},
)

PYTORCH = Grammar(
    engine="lmdeploy",
    variant="pytorch",
    lines=(
        *_COMMON,
        Line(
            text="Fallback to pytorch engine because",
            pattern=r"because `(?P<model>[^`]+)` not supported",
            mark="fallback",
            level=Level.ENGINE,
            weight=3,
        ),
        Line(text="Fallback to pytorch engine because", pattern=r"(?P<fallback>Fallback.*)", level=Level.NONE),
        Line(text="input backend=pytorch", mark="input", level=Level.ENGINE, weight=5),
        Line(text="Process mp_engine_proc", weight=1, level=Level.NONE),
        Line(text="Building Model.", pattern=rf"{_LOGGER}Building Model\.", mark="build", weight=2),
        Line(text="loading weights - ", pattern=r"rank\[\d+\] loading weights - ", weight=2),
        Line(
            text="Loading weights from safetensors:",
            pattern=_BAR,
            phase="weights_load",
            mark="weights",
            bar=True,
            weight=4,
        ),
        Line(
            text="Loading weights from pytorch:", pattern=_BAR, phase="weights_load", mark="weights", bar=True, weight=4
        ),
        Line(text="Updating configs.", pattern=rf"{_LOGGER}Updating configs\.", mark="built", weight=2),
        Line(text="Building GraphRunner and warmup ops", mark="ops", weight=2),
        Line(text="Building CacheEngine with config", mark="cache", weight=2),
        Line(text="Warming up model.", pattern=rf"{_LOGGER}Warming up model\.", mark="warm", weight=2),
        Line(text="Starting engine warmup.", pattern=rf"{_LOGGER}Starting engine warmup", mark="graph_begin", weight=2),
        Line(
            text="Engine warmup completed in",
            pattern=rf"{_LOGGER}Engine warmup completed in {_SECONDS} seconds",
            phase="graph_capture",
            mark="graph_end",
            weight=2,
        ),
    ),
    intervals=(
        Interval(phase="config_tokenizer", begin=("first",), end=("build", "before:weights")),
        Interval(phase="model_load", begin=("build",), end=("built",), each=True),
        Interval(phase="profile_kv", begin=("built",), end=("ops",), each=True),
        Interval(phase="kernel_warmup", begin=("ops",), end=("cache",), each=True),
        Interval(phase="engine_init", begin=("cache",), end=("warm",), each=True, key="", label="KV cache"),
        Interval(phase="graph_capture", begin=("warm", "graph_begin"), end=("engine_ready",)),
        Interval(phase="server_init", begin=("engine_ready",), end=("app_startup",)),
    ),
    total=TURBOMIND.total,
    ready=_READY,
    inside={"weights_download": "config_tokenizer", "weights_load": "model_load"},
)
