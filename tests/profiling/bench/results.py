"""Made-up repeats and what is summarised of them, for tests of everything that reads results."""

from collections.abc import Mapping, Sequence
from typing import Any

from glowplug.profiling.bench.repeat import Repeat, Timing
from glowplug.profiling.bench.summary import Results, summarise_all

MACHINE = {
    "host": "h<b>", "cpu": "c", "cores": 2, "flags": ["avx2"], "memory_gib": 4, "kernel": "k",
    "gpus": [{"name": "g", "memory": "80 GiB", "driver": "5"}],
}  # fmt: skip


def definition(name: str, **changes: Any) -> dict[str, Any]:
    model, _, path = name.rpartition("/")
    config = {"engine": "fake", "model": None, "args": {}, "env": {}, "options": {}}
    request = {"api": "completions", "tokens": 16, "timeout": 900.0}
    return {
        "model": model, "path": path, "config": config, "warmup": [], "request": request, "idle": 2.0,
        "page_cache": "weights", **changes,
    }  # fmt: skip


def good(name: str, number: int, cold: float, ttft: float = 0.1, speed: float = 20.0, first: float = 0.15) -> Repeat:
    """A repeat with these values; `first` is the first request's time to first token once the replica is ready."""
    tokens = 11
    second = Timing(ttft, ttft + (tokens - 1) / speed, tokens, "usage", "running", 0.0)
    span = {"phase": "engine_init", "seconds": cold - first, "start": 0.0, "end": cold - first}
    record = {
        "engine": "fake", "version": "1.2", "model": "m", "outcome": "ready", "total": cold - first, "spans": [span],
    }  # fmt: skip
    return Repeat(
        id=f"{number:04}-x",
        scenario=name,
        kind="measured",
        round=number,
        position=1,
        began=f"2026-01-01T00:{number:02}:00.000+00:00",
        took=30.0,
        first=Timing(cold, cold + 1, tokens, "usage", "cached", cold - first),
        second=second,
        memory=200 * 1024**2,
        cold_start=record,
        conditions={"settled": {"seconds": 1.0, "trouble": None}, "load": [0.5, 0.4, 0.3], "weights_cached": 1.0},
    )


def bad(name: str, number: int, reason: str = "it broke") -> Repeat:
    return Repeat(f"{number:04}-x", name, "measured", number, 1, "2026-01-01T00:00:00.000+00:00", failure=reason)


def about(scenarios: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "format": 1, "machine": MACHINE, "software": {"glowplug": "1", "python": "3", "implementation": "cpython"},
        "settings": {"governor": None, "transparent_huge_pages": "madvise", "swap": "0.0 GiB", "bytecode": "kept"},
        "seed": 1, "scenarios": scenarios,
    }  # fmt: skip


def results(repeats: Sequence[Repeat], closed: Mapping[str, str] | None = None, **changes: Any) -> Results:
    """Results of the scenarios that the repeats name."""
    names = dict.fromkeys(repeat.scenario for repeat in repeats)
    return summarise_all(about({name: definition(name, **changes) for name in names}), repeats, closed or {})


def series(name: str, colds: Sequence[float], **values: float) -> list[Repeat]:
    return [good(name, number, cold, **values) for number, cold in enumerate(colds, 1)]
