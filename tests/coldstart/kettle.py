"""A made-up engine with a small log, for tests of what all engines have in common."""

from collections.abc import Iterable, Sequence

from glowplug.coldstart.grammar import Grammar, Interval, Level, Line, Ready
from glowplug.coldstart.reading import Reading, read_starts
from glowplug.coldstart.values import ColdStart

_SECONDS = r"(?P<seconds>-?[\d.]+)"

KETTLE = Grammar(
    engine="kettle",
    lines=(
        Line(
            text="Kettle server version",
            pattern=r"version (?P<version>\S+)",
            mark="api",
            level=Level.FRONTEND,
            weight=3,
        ),
        Line(text="Kettle arguments:", pattern=r"arguments: (?P<arguments>.*)", mark="args", level=Level.FRONTEND),
        Line(text="Element begins", pattern=r"for '(?P<model>[^']+)'", mark="begin", level=Level.ENGINE, weight=3),
        Line(text="Begins to fill", mark="fill_begin"),
        Line(text="Filling took", pattern=rf"took {_SECONDS} s", phase="weights_load", mark="fill_end"),
        Line(text="Fill level", pattern=r"\| \d+/\d+ \[(?P<clock>[\d:]+)<", phase="weights_load", key="", bar=True),
        Line(text="Model is in after", pattern=rf"after {_SECONDS} s", phase="model_load", mark="model"),
        Line(text="Boiling bar", pattern=r"\| \d+/\d+ \[(?P<clock>[\d:]+)<", phase="graph_capture", key="", bar=True),
        Line(
            text="Boiled in",
            pattern=rf"in {_SECONDS} s(?:, took (?P<n_litres>\S+) l)?",
            phase="graph_capture",
            mark="boiled",
            flags={"scale": False},
        ),
        Line(text="Boiled before", flags={"scale": True}),
        Line(text="Kettle serves", mark="serves", weight=3),
        Line(text="Kettle sleeps", pattern=r"after (?P<n_sleep>[\d.]+) s", level=Level.NONE),
    ),
    intervals=(
        Interval(phase="config_tokenizer", begin=("api", "first"), end=("begin",)),
        Interval(phase="dist_init", begin=("begin",), end=("fill_begin",), each=True),
        Interval(phase="server_init", begin=("boiled",), end=("serves",)),
    ),
    total=(Interval(phase="total", begin=("api", "first"), end=("serves",)),),
    ready=(Ready(mark="serves"),),
    inside={"weights_load": "model_load"},
    silent=("Kettle waits",),
)

POT = Grammar(
    engine="pot",
    lines=(
        Line(text="Pot version", pattern=r"version (?P<version>\S+)", mark="pot", level=Level.ENGINE, weight=2),
        Line(text="Pot is hot", mark="hot", weight=2),
    ),
    total=(Interval(phase="total", begin=("pot",), end=("hot",)),),
    ready=(Ready(mark="hot"),),
)

GRAMMARS = (KETTLE, POT)


def stamped(seconds: float, level: str = "INFO") -> str:
    """The head of a line `seconds` after ten o'clock, in the manner of vLLM."""
    whole = int(seconds)
    return f"{level} 07-21 {10 + whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02} [kettle.py:1]"


def start(at: float = 0.0, *, pid: int = 1, model: str = "water", fail: bool = False) -> list[str]:
    """The lines of one start, of 31 seconds; with `fail` it runs out of memory after 20."""
    main, element = f"(Main pid={pid})", f"(Element pid={pid + 1})"
    lines = [
        f"{main} {stamped(at)} Kettle server version 1.2",
        f"{main} {stamped(at)} Kettle arguments: --model {model}",
        f"{element} {stamped(at + 5)} Element begins for '{model}'",
        f"{element} {stamped(at + 7)} Begins to fill",
        f"{element} Fill level:  50%|##  | 1/2 [00:02<00:02,  2.00s/it]",
        f"{element} Fill level: 100%|####| 2/2 [00:04<00:00,  2.00s/it]",
        f"{element} {stamped(at + 12)} Filling took 4.25 s",
        f"{element} {stamped(at + 13)} Model is in after 5.75 s",
    ]
    if fail:
        return [
            *lines,
            f"{element} {stamped(at + 20, 'ERROR')} Traceback (most recent call last):",
            "RuntimeError: dry",
        ]
    return [
        *lines,
        f"{element} {stamped(at + 14)} Something happens",
        f"{element} {stamped(at + 26)} Something else happens",
        f"{element} Boiling bar: 100%|####| 3/3 [00:03<00:00,  1.00s/it]",
        f"{element} {stamped(at + 30)} Boiled in 3 s, took 0.61 l",
        f"{main} {stamped(at + 31)} Kettle serves",
    ]


def read(lines: Iterable[str] | bytes, grammars: Sequence[Grammar] = GRAMMARS) -> Reading:
    """What a log holds, in one piece."""
    data = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
    return read_starts([data], grammars)


def one(lines: Iterable[str] | bytes) -> ColdStart:
    """The only start in a log."""
    (found,) = read(lines).starts
    return found
