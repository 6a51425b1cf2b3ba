"""What engines say of their own start, beside their logs, and how it compares with what the log told."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any, cast

from glowplug.coldstart.values import ColdStart, Span
from glowplug.profiling.otlp_wire import EngineSpan
from glowplug.profiling.probe import Probe

PREFIX = "oracle_"
"""Before the names of numbers among `reported` that come from here."""

_SGLANG_PHASES = {"load_weight": "weights_load", "cuda_graph": "graph_capture"}
_VLLM_PHASES = {
    "Load weights": "weights_load",
    "Load model": "model_load",
    "Download weights - HF": "weights_download",
    "Inductor compilation": "inductor",
    "Prepare model": "engine_init",
    "Allocate KV cache": "profile_kv",
    "Warmup (CPU)": "warmup",
    "Warmup (GPU)": "warmup",
    "Capture model": "graph_capture",
}
"""Phases by the names of vLLM's start-up spans (`@instrument(span_name=...)` in its sources, version 0.32)."""

_VLLM_NAMES = {**_VLLM_PHASES, "Allocate KV cache": "kv_allocation"}
"""The same for numbers: what the log tells of `profile_kv` is another part of that phase."""

_LEAST_SPAN = 0.05
"""Seconds. Shorter spans explain nothing."""


async def sglang_startup_times(probe: Probe) -> Mapping[str, float]:
    """SGLang's own times in seconds, by our names as far as there are such; empty for other engines.

    `GET /server_info` has them since 0.5.23 under `startup_time`.
    """
    _, answer = await probe.get_json("/server_info")
    if not isinstance(answer, dict):
        return {}
    times: Any = cast("Mapping[str, Any]", answer).get("startup_time")
    if not isinstance(times, dict):
        return {}
    found: dict[str, float] = {}
    for name, value in cast("Mapping[str, Any]", times).items():
        if isinstance(value, int | float):
            found[PREFIX + _SGLANG_PHASES.get(name, name)] = float(value)
        elif isinstance(value, dict):  # seconds of graph capture, by what was captured
            parts = cast("Mapping[str, Any]", value).values()
            found[PREFIX + _SGLANG_PHASES.get(name, name)] = float(sum(part for part in parts if part is not None))
    return found


def vllm_startup_times(spans: Sequence[EngineSpan]) -> Mapping[str, float]:
    """Seconds of vLLM's start-up spans, by our names; the longest of several processes counts."""
    by_process: dict[tuple[str, str], float] = {}
    for span in spans:
        if phase := _VLLM_NAMES.get(span.name):
            key = (phase, span.process)
            by_process[key] = by_process.get(key, 0.0) + (span.end - span.start) / 1e9
    found: dict[str, float] = {}
    for (phase, _), seconds in by_process.items():
        found[PREFIX + phase] = max(found.get(PREFIX + phase, 0.0), seconds)
    return found


def vllm_phases(spans: Sequence[EngineSpan], epoch: float, known: Set[str]) -> Sequence[Span]:
    """vLLM's start-up spans as phases, without those of the phases in `known`, about which the log told more.

    Every rank has the same ones; those of the process that took longest count. `epoch` is when the start began, in
    seconds since 1970.
    """
    found: list[Span] = []
    for phase in dict.fromkeys(_VLLM_PHASES.values()):
        own = [span for span in spans if _VLLM_PHASES.get(span.name) == phase]
        if phase in known or not own:
            continue
        totals = Counter[str]()
        for span in own:
            totals[span.process] += span.end - span.start
        slowest = totals.most_common(1)[0][0]
        for span in own:
            start, end = span.start / 1e9 - epoch, span.end / 1e9 - epoch
            if span.process == slowest and end - start >= _LEAST_SPAN:
                found.append(Span(phase, end - start, start, end, "reported", label=f"vLLM's span {span.name}"))
    return found


def placed(spans: Sequence[EngineSpan], epoch: float) -> Sequence[Mapping[str, Any]]:
    """The engine's spans as JSON, in seconds since `epoch` (seconds since 1970), in the order of their starts."""
    return [
        {
            "name": span.name,
            "process": span.process,
            "start": round(span.start / 1e9 - epoch, 6),
            "end": round(span.end / 1e9 - epoch, 6),
        }
        for span in sorted(spans, key=lambda span: span.start)
    ]


def compare(oracle: Mapping[str, float], start: ColdStart) -> Mapping[str, Mapping[str, float]]:
    """The phases of which both an engine's own account and its log tell the seconds: `{phase: {oracle, log}}`."""
    compared: dict[str, Mapping[str, float]] = {}
    for key, seconds in oracle.items():
        phase = key.removeprefix(PREFIX)
        if (ours := _seconds(phase, start)) is not None:
            compared[phase] = {"oracle": round(seconds, 6), "log": round(ours, 6)}
    return compared


def _seconds(phase: str, start: ColdStart) -> float | None:
    reported = start.reported.get(phase)
    if isinstance(reported, float | int) and not isinstance(reported, bool):
        return float(reported)
    found: list[Span] = [span for span in start.walk() if span.phase == phase]
    return sum(span.seconds for span in found) if found else None
