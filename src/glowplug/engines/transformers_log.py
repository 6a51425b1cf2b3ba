"""The log of `transformers serve`, 4.5x and 5.

It says little: uvicorn's lines, a progress bar over the weights, and, from 5 on, a line per model and per request.
Without a model on the command line, weights are loaded by the first request, after the server is up; a request is told
only when its model is there.
"""

from glowplug.coldstart.grammar import Grammar, Interval, Level, Line, Ready
from glowplug.engines.huggingface_log import DOWNLOAD
from glowplug.engines.uvicorn_log import UVICORN

_BAR = r"^.*\| \d+/\d+ \[(?P<clock>[\d:]+)<"
_LOGGER = r"^(?:\[transformers\] )?(?:INFO:transformers\S*?:)?"

GRAMMAR = Grammar(
    engine="transformers",
    lines=(
        Line(
            text="Loading ",
            pattern=rf"{_LOGGER}Loading (?P<model>[^\s@]+)@[\w./-]+(?::\S+\.gguf)?\s*$",
            mark="load_begin",
            weight=2,
        ),
        Line(text="Loading weights:", pattern=_BAR, phase="weights_load", mark="weights", bar=True, weight=0),
        Line(text="Loading checkpoint shards:", pattern=_BAR, phase="weights_load", mark="weights", bar=True, weight=0),
        Line(text="Loaded model ", pattern=rf"{_LOGGER}Loaded model (?P<model>[^\s@]+)@", mark="loaded", weight=2),
        Line(text="CORS allow origin is set to `*`. Not recommended for production", level=Level.NONE, weight=1),
        *UVICORN,
        Line(
            text="[Request received] Model:",
            pattern=r"Model: (?P<model>[^\s@,]+)(?:@[^\s,]+)?(?:, CB: (?P<continuous_batching>\w+))?",
            mark="request",
            weight=3,
        ),
        Line(
            text="was removed from memory after", pattern=r"after \d+ ?s\w* of inactivity", level=Level.NONE, weight=1
        ),
        *DOWNLOAD,
    ),
    intervals=(
        Interval(phase="server_init", begin=("app_begin",), end=("app_startup",)),
        Interval(phase="model_load", begin=("load_begin",), end=("loaded", "app_begin", "request"), key=""),
    ),
    total=(Interval(phase="total", begin=("first",), end=("app_startup",)),),
    ready=(Ready(mark="request"), Ready(mark="app_startup")),
    inside={"weights_download": "model_load", "weights_load": "model_load"},
)
