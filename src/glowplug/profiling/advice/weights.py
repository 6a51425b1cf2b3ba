"""Advice about how weights reach the engine."""

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import ColdStart
from glowplug.profiling.advice.evidence import WORTH_IT, lines, seconds

_KEEP = {
    "vllm": "keep HF_HOME (or --download-dir) on a disk that outlives the container",
    "sglang": "keep HF_HOME (or --download-dir) on a disk that outlives the container",
    "lmdeploy": "keep HF_HOME (or --download-dir) on a disk that outlives the container",
    "tgi": "mount the directory that HUGGINGFACE_HUB_CACHE names (/data in the image) on a disk that outlives it",
    "llama.cpp": "keep the directory that LLAMA_CACHE names, or give the file with --model instead of -hf",
    "transformers": "keep HF_HOME on a disk that outlives the container",
}

_SLOW = 0.5
"""GiB/s. A local NVMe disk reads 2 to 7, a cloud network disk 0.1 to 0.5."""
_LARGE = 2.0
"""GiB of weights below which the disk is not what a start waits for."""


def downloaded(start: ColdStart) -> Advice | None:
    """The weights came over the network."""
    taken = seconds(start, "weights_download")
    if taken < WORTH_IT or start.facts.get("download_skipped"):
        return None
    return Advice(
        "the weights were downloaded",
        f"Downloading the weights took {taken:.1f} s of this start.",
        _KEEP.get(start.engine, _KEEP["vllm"]),
        taken,
        lines(start, "weights_download"),
    )


def converted(start: ColdStart) -> Advice | None:
    """TGI converted pickled weights to safetensors."""
    taken = seconds(start, "weights_convert")
    if taken < WORTH_IT:
        return None
    return Advice(
        "the weights were converted",
        f"The model has no safetensors files; converting its weights took {taken:.1f} s.",
        "convert once (text-generation-server download-weights MODEL) and keep the result, or choose a revision with "
        "safetensors files",
        taken,
        lines(start, "weights_download", "weights_load"),
    )


def slow_disk(start: ColdStart) -> Advice | None:
    """The weights were read slower than a local disk reads."""
    size, taken = float(start.facts.get("checkpoint_gib", 0.0)), seconds(start, "weights_load")
    if size < _LARGE or taken < WORTH_IT or size / taken >= _SLOW:
        return None
    rate = size / taken
    text = f"{size:.1f} GiB of weights took {taken:.1f} s, {rate:.2f} GiB/s"
    if "filesystem" in start.facts:
        text += f", from {start.facts['filesystem']}"
    free = float(start.facts.get("available_gib", size))
    text += f"; they do not fit into the {free:.1f} GiB of free memory." if free < size else "."
    return Advice(
        "the weights are read slowly",
        text,
        "put the weights on a local NVMe disk; read in parallel with --load-format runai_streamer or fastsafetensors, "
        "or ahead with --safetensors-load-strategy prefetch",
        taken - size / _SLOW,
        lines(start, "weights_load"),
    )
