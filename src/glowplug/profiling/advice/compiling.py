"""Advice about torch.compile in vLLM: caches that miss, and whether compiling is worth it at all."""

from collections.abc import Mapping

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import ColdStart
from glowplug.profiling.advice.evidence import WORTH_IT, is_server_of, lines, seconds

_EAGER_SHARE = 0.3
"""Part of a start that compiling and capturing must take before a slower engine that starts sooner is worth a word."""

_VOLUMES = ("/runpod-volume", "/workspace", "/data", "/mnt", "/models", "/persistent", "/vol")
"""Where platforms mount what outlives a container: RunPod (the first two), TGI's and others' images, Modal."""


def cache_disabled(start: ColdStart) -> Advice | None:
    """The compile cache was switched off."""
    compiled = _compiled(start)
    if "compile_cache_disabled" not in start.facts or compiled < WORTH_IT:
        return None
    return Advice(
        "the compile cache is switched off",
        f"vLLM says that its torch.compile cache is disabled, and compiled for {compiled:.1f} s.",
        "unset VLLM_DISABLE_COMPILE_CACHE and keep VLLM_CACHE_ROOT from start to start",
        compiled,
        lines(start, "torch_compile", "inductor"),
    )


def artefact_fails_to_load(start: ColdStart) -> Advice | None:
    """The compiled model is on disk, but vLLM fails to load it and compiles again."""
    failure = start.facts.get("aot_failure")
    if failure is None:
        return None
    gain = max(_compiled(start) - seconds(start, "dynamo"), 0.0)
    return Advice(
        "the compiled model is on disk but fails to load",
        f"vLLM found {start.facts.get('aot_failed', 'its ahead-of-time artefact')}, failed to load it ({failure}) and "
        "compiled again.",
        "set VLLM_USE_AOT_COMPILE=0 and keep TORCHINDUCTOR_CACHE_DIR from start to start: Inductor's own cache then "
        "hits and only Dynamo runs again; or use a version of vLLM in which the artefact loads",
        gain or None,
        lines(start, "torch_compile", "dynamo", "inductor"),
    )


def cache_empty(start: ColdStart) -> Advice | None:
    """Everything was compiled because nothing was in the cache."""
    if not is_server_of(start, "vllm") or start.reported.get("compile_cache_hit", True):
        return None
    if "aot_failure" in start.facts or "compile_cache_disabled" in start.facts:
        return None
    gain = _compiled(start) if "aot_saved" in start.facts else seconds(start, "inductor")
    if gain < WORTH_IT:
        return None
    cache = str(start.facts.get("compile_cache") or start.facts.get("aot_saved", ""))
    root = cache.split("/torch_compile_cache/")[0] if "/torch_compile_cache/" in cache else "~/.cache/vllm"
    volume = _volume(start.facts)
    text = f"No compiled graph was found in {root}, so vLLM compiled for {gain:.1f} s."
    if volume is not None and not root.startswith(volume):
        text += f" The weights come from {volume}, which outlives the container; this directory does not seem to."
        remedy = f"set VLLM_CACHE_ROOT={volume}/vllm-cache"
    elif start.variant == "runpod-worker":
        remedy = "set VLLM_CACHE_ROOT=/runpod-volume/vllm-cache on an endpoint with a network volume"
    else:
        remedy = "set VLLM_CACHE_ROOT to a directory that outlives this machine or container"
    remedy += "; the key contains the model's path, the flags and the versions, so keep these the same"
    return Advice("the compile cache was empty", text, remedy, gain, lines(start, "torch_compile", "inductor"))


def eager(start: ColdStart) -> Advice | None:
    """Compiling and capturing take so much of the start that an engine without them may serve sooner."""
    saved = _compiled(start) + seconds(start, "graph_capture")
    total = start.total
    if not is_server_of(start, "vllm") or total is None or start.facts.get("enforce_eager") == "True":
        return None
    if saved < WORTH_IT or saved < _EAGER_SHARE * total:
        return None
    return Advice(
        "without compiling it would start sooner",
        f"torch.compile and CUDA graphs took {saved:.1f} s of {total:.1f} s.",
        "--enforce-eager leaves both out, at the price of slower tokens; -O1 keeps compiled kernels with fewer graphs",
        saved,
        lines(start, "torch_compile", "graph_capture"),
    )


def _compiled(start: ColdStart) -> float:
    parts = seconds(start, "dynamo") + seconds(start, "inductor")
    return max(seconds(start, "torch_compile_reported", "torch_compile"), parts)


def _volume(facts: Mapping[str, object]) -> str | None:
    """The volume that the model or its cache was read from, if the arguments name one."""
    said = str(facts.get("arguments", ""))
    return next((volume for volume in _VOLUMES if f"'{volume}/" in said), None)
