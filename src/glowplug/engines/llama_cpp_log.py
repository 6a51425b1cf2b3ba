"""The log of llama.cpp's server, from builds of 2024 to b9900.

Lines carry no time up to the middle of 2026, except with `--log-timestamps --log-prefix`
(`0.00.187.240 I srv    load_model: ...`, counted from the start of the process), which later builds print always. The
names before the messages change (`main:`, `llama_server:`, `srv  main:`), so lines are known by what follows.
"""

from glowplug.coldstart.grammar import Grammar, Interval, Level, Line, Ready

_SERVER = r"\b(?:main|llama_server|init): "
"""The function that speaks of the whole server: until 2026, in 2026, and where the server is a library."""
_SECONDS = r"(?P<seconds>[\d.]+)"

_FRONTEND = (
    # Which of these come, and in which order, depends on the build and its backends: none of them begins a start by
    # coming again.
    Line(text="ggml_cuda_init: found", pattern=r"found (?P<devices>\d+ \w+)", level=Level.FRONTEND, weight=0),
    Line(text="load_backend: loaded", level=Level.FRONTEND, weight=0),
    Line(text="(adjust with the `-lv N` CLI arg)", level=Level.FRONTEND, weight=1),
    Line(text="build: ", pattern=r"^build: (?P<version>\d+ \(\w+\))", level=Level.FRONTEND, weight=2),
    Line(text="build_info: ", pattern=r"build_info: (?P<version>b[1-9]\d*-\w+)", level=Level.FRONTEND, weight=2),
    Line(text="build info", pattern=r"build info.{0,200} build=(?P<version>\d+)", level=Level.FRONTEND, weight=2),
    Line(text="system_info: n_threads", level=Level.FRONTEND, weight=1),
    Line(text="common_download_file_single", level=Level.FRONTEND, weight=1),
    Line(
        text="trying to download model from",
        pattern=r"from (?P<download_url>\S+) to (?P<download_to>\S+)",
        mark="download_begin",
        level=Level.FRONTEND,
        weight=1,
    ),
    Line(text="using cached file", pattern=r"(?P<download_skipped>using cached file)", level=Level.FRONTEND, weight=0),
    Line(text="threads for HTTP server", pattern=r"using \d+ threads for HTTP server", mark="bound", weight=2),
)

_LOADING = (
    Line(
        text=": loading model",
        pattern=rf"{_SERVER}loading model\s*$",
        mark="load_begin",
        weight=2,
        level=Level.ENGINE,
    ),
    Line(
        text="loading model '",
        pattern=r"load_model: loading model '(?P<model>[^']+)'",
        mark="model_begin",
        weight=3,
        level=Level.ENGINE,
    ),
    Line(text="loading draft model '", pattern=r"'(?P<draft_model>[^']+)'", weight=2),
    Line(text="fitting params to device memory", mark="fit_begin", weight=1),
    Line(
        text="fitting params to free memory took",
        pattern=rf"took {_SECONDS} seconds",
        phase="profile_kv",
        key="fit_params",
        label="fitting parameters to memory",
        mark="fit_end",
        weight=2,
    ),
    Line(
        text="llama_model_loader: loaded meta data with",
        pattern=r"tensors from (?P<model>.{1,1000}?) \(version",
        mark="meta",
        weight=2,
    ),
    Line(text="print_info: file type", pattern=r"= (?P<quant>.+?)\s*$", level=Level.NONE, weight=0),
    Line(text="print_info: file size", pattern=r"= (?P<checkpoint_gib>[\d.]+) GiB", level=Level.NONE, weight=0),
    Line(
        text=": loading model tensors, this can take a while",
        pattern=r"\(mmap = (?P<mmap>\w+)(?:, direct_io = (?P<direct_io>\w+))?\)",
        weight=2,
    ),
    Line(text=": loading model tensors, this can take a while", mark="tensors"),
    Line(text="llm_load_tensors: ggml ctx size", mark="tensors", weight=2),
    Line(text="llama_model_load: loading model tensors", mark="tensors", weight=2),
    Line(text="layers to GPU", pattern=r"offloaded (?P<layers_offloaded>\d+/\d+) layers to GPU", weight=1),
)

_CONTEXT = (
    Line(text="llama_context: constructing llama_context", mark="context", weight=2),
    Line(text="llama_new_context_with_model: n_ctx", pattern=r"n_ctx +=", mark="context", weight=2),
    Line(text="llama_context: n_ctx ", pattern=r"n_ctx +=", mark="context", weight=2),
    Line(text="llama_init_from_model: n_ctx ", pattern=r"n_ctx +=", mark="context", weight=2),
    Line(
        text="sched_reserve: reserve took",
        pattern=r"took (?P<milliseconds>[\d.]+) ms",
        phase="profile_kv",
        key="graph_reserve",
        label="reservation of the compute graph",
        weight=2,
    ),
    Line(text="warming up the model with an empty run", mark="warm_begin", weight=1),
)

_SERVING = (
    Line(text="initializing slots", mark="slots", weight=1),
    Line(text="load_model: initializing, n_slots", mark="slots", weight=1),
    Line(text="model loaded", pattern=rf"(?:{_SERVER}|^)model loaded(?: \| |\s*$)", mark="loaded", weight=0),
    Line(text="listening on http", pattern=rf"{_SERVER}(?:server is )?listening on http", mark="listening", weight=3),
    # Forks that kept the server of 2024, and that server itself: the port opens last.
    Line(text="HTTP server listening", pattern=r"HTTP server listening(?: \| |\s*$)", mark="listening", weight=1),
    Line(
        text="_print_timings:",
        pattern=r"llama\w{0,40}_print_timings: +load time = +(?P<n_load_time_ms>[\d.]+) ms",
        weight=1,
        level=Level.NONE,
    ),
)

GRAMMAR = Grammar(
    engine="llama.cpp",
    lines=(*_FRONTEND, *_LOADING, *_CONTEXT, *_SERVING),
    intervals=(
        Interval(
            phase="server_init",
            begin=("first",),
            end=("load_begin", "model_begin"),
            key="",
            label="devices and port",
        ),
        Interval(phase="weights_download", begin=("download_begin",), end=("bound", "load_begin", "model_begin")),
        Interval(
            phase="model_load", begin=("load_begin", "model_begin"), end=("slots", "loaded"), key="model_load_wall"
        ),
        Interval(phase="config_tokenizer", begin=("meta",), end=("tensors",), each=True, key=""),
        Interval(phase="weights_load", begin=("tensors",), end=("context",), each=True),
        Interval(phase="engine_init", begin=("context",), end=("warm_begin", "slots"), each=True, label="context"),
        Interval(phase="warmup", begin=("warm_begin",), end=("slots",)),
        Interval(phase="server_init", begin=("slots",), end=("listening", "loaded")),
    ),
    total=(
        Interval(phase="total", begin=("first",), end=("listening",)),
        Interval(phase="total", begin=("first",), end=("loaded",)),
    ),
    ready=(Ready(mark="listening"), Ready(mark="loaded")),
    inside={
        "weights_download": "server_init",
        "profile_kv": "model_load",
        "config_tokenizer": "model_load",
        "weights_load": "model_load",
        "engine_init": "model_load",
        "warmup": "model_load",
    },
)
