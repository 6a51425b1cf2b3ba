"""The log of Text Generation Inference, 1.0 to 3.3: its launcher, its shards through the launcher, its router.

`2025-07-04T12:35:02.586768Z  INFO shard-manager: text_generation_launcher: Shard ready in 48.2s rank=0`, or the same
as JSON with `--json-output`. A shard's import of Python and its weights are one number ("Shard ready in").
"""

from glowplug.coldstart.grammar import Grammar, Interval, Level, Line, Ready

_LAUNCHER = r"(?:text_generation_launcher: |^)"
_ROUTER = r"(?:text_generation_router\S*: (?:\S+\.rs:\d+: )?|^)"
"""What stands before a message of theirs: their name in the text form, nothing in the JSON form."""
_DURATION = r"(?:(?P<seconds>[\d.]+)s|(?P<milliseconds>[\d.]+)ms)"
"""A duration as Rust prints it; one under a millisecond is not worth a line."""

_ARGUMENTS = (
    "quantize", "dtype", "kv_cache_dtype", "speculate", "max_total_tokens", "max_batch_prefill_tokens",
    "huggingface_hub_cache", "disable_custom_kernels",
)  # fmt: skip
"""Arguments of the launcher that a cold start depends on."""


def _argument(name: str) -> Line:
    """An argument of the launcher, on the line `Args { ... }` or, since 2.3, on a line of its own."""
    return Line(
        text=f"{name}: ",
        pattern=rf'(?:^|[\s{{]){name}: (?!None\b|Some\(\s*$)(?:Some\(\s*)?"?(?P<{name}>[^",(){{}}\s]+)',
        level=Level.NONE,
        weight=0,
    )


_FRONTEND = (
    Line(text="Args {", pattern=rf"{_LAUNCHER}Args \{{", mark="args", level=Level.FRONTEND, weight=5),
    Line(
        text="model_id: ",
        pattern=r'(?:^|[\s{])model_id: "(?P<model>[^"]+)"',
        level=Level.NONE,
        weight=0,
    ),
    *(_argument(name) for name in _ARGUMENTS),
    Line(text="text_generation_router_v3", pattern=r"_v3: \S+/lib\.rs", mark="v3"),
    Line(text="text_generation_launcher: Default `max_", weight=2),
    Line(text="Using attention ", pattern=r"Using attention (?P<attention>\w+)", level=Level.NONE, weight=0),
    Line(text="Sharding model on", pattern=r"on (?P<shards>\d+) processes", level=Level.NONE),
)

_DOWNLOADING = (
    Line(
        text="Starting check and download process for",
        pattern=r"for (?P<model>\S+)",
        mark="download_begin",
        level=Level.ENGINE,
        weight=3,
    ),
    Line(text="Starting download process", mark="download_begin", level=Level.ENGINE, weight=3),
    Line(text="Download file:", mark="file_begin", weight=2),
    Line(text="Files are already present on the host", pattern=r"(?P<download_skipped>Skipping download)", weight=2),
    Line(
        text="Converting PyTorch weights to safetensors",
        pattern=r"(?P<converted>Converting PyTorch weights)",
        mark="convert_begin",
        weight=2,
    ),
    Line(text="Convert: [", pattern=r"Convert: \[\d+/\d+\] -- Took", mark="convert_end", weight=2),
    Line(text="Successfully downloaded weights", mark="download_end", weight=2),
)

_LOADING = (
    Line(
        text="Starting shard",
        pattern=rf"{_LAUNCHER}Starting shard(?:.*\brank=(?P<rank>\d+))?",
        mark="shard_begin",
        weight=2,
    ),
    Line(text="Using Attention =", mark="imported", level=Level.NONE, weight=0),
    Line(
        text="Shard ready in",
        pattern=rf"Shard ready in {_DURATION}(?:.*\brank=(?P<rank>\d+))?",
        phase="weights_load",
        mark="shard_ready",
        weight=3,
    ),
    Line(text="Starting Webserver", pattern=rf"{_LAUNCHER}Starting Webserver", mark="webserver", weight=2),
)

_SERVING = (
    Line(text="Serving revision", pattern=r"Serving revision \S+ of model (?P<model>\S+)", level=Level.NONE),
    Line(text="Warming up model", pattern=rf"{_ROUTER}Warming up model\s*$", mark="warm_begin", weight=2),
    Line(text="KV-cache blocks:", pattern=r"blocks: (?P<kv_blocks>\d+)", level=Level.NONE),
    Line(
        text="Cuda Graphs are enabled for sizes",
        pattern=r"sizes (?P<graph_sizes>\[[\d, ]+\])",
        mark="graph_begin",
        weight=2,
    ),
    Line(text="Cuda Graphs are disabled", pattern=r"(?P<graphs_disabled>disabled)", weight=2),
    Line(
        text="Setting max batch total tokens to",
        pattern=rf"{_ROUTER}Setting max batch total tokens to (?P<kv_tokens>\d+)",
        mark="warm_end",
        weight=3,
    ),
    Line(text="Connected", pattern=rf"{_ROUTER}Connected\s*$", mark="connected", weight=0),
)

GRAMMAR = Grammar(
    engine="tgi",
    lines=(*_FRONTEND, *_DOWNLOADING, *_LOADING, *_SERVING),
    intervals=(
        Interval(phase="config_tokenizer", begin=("args",), end=("download_begin",), key=""),
        Interval(
            phase="weights_download", begin=("download_begin", "file_begin"), end=("convert_begin", "download_end")
        ),
        Interval(
            phase="weights_download",
            begin=("convert_begin",),
            end=("last:convert_end",),
            key="weights_convert",
            label="conversion to safetensors",
        ),
        Interval(phase="weights_load", begin=("shard_begin",), end=("shard_ready",), each=True),
        Interval(phase="server_init", begin=("webserver",), end=("warm_begin",)),
        Interval(phase="profile_kv", begin=("warm_begin",), end=("graph_begin", "warm_end")),
        Interval(phase="graph_capture", begin=("graph_begin",), end=("warm_end",)),
        Interval(phase="server_init", begin=("warm_end",), end=("connected",), key="router_init", label="router"),
    ),
    total=(
        Interval(phase="total", begin=("args", "first"), end=("connected",)),
        Interval(phase="total", begin=("args", "first"), end=("warm_end",)),
    ),
    # Up to 2.x the router serves as soon as the size of batches is known; since 3.0 it has still to load its tokenizer.
    ready=(Ready(mark="connected"), Ready(mark="warm_end", unless="v3")),
    silent=("Waiting for shard to be ready",),
)
