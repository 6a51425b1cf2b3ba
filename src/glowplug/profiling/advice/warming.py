"""Advice about warm-up: CUDA graphs, kernel tuning, multi-modal profiling."""

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import ColdStart
from glowplug.profiling.advice.evidence import WORTH_IT, lines, seconds

_MANY_GRAPHS = 16
_FEW_GRAPHS = 8
"""Batch sizes that a lightly loaded endpoint still uses: 1, 2, 4, 8, 16, 24, 32, 48."""
_SLOW_CAPTURE = 5.0
"""Seconds of capturing below which fewer sizes are not worth the padding they cost."""

_SIZES = {
    "vllm": "--compilation-config '{\"cudagraph_capture_sizes\":[1,2,4,8,16,24,32,48]}', or a smaller --max-num-seqs",
    "sglang": "--cuda-graph-max-bs 16 (newer: --cuda-graph-max-bs-decode 16)",
    "tgi": "--cuda-graphs 1,2,4,8",
    "lmdeploy": "--cudagraph-capture-batch-sizes 1 2 4 8",
}


def graph_sizes(start: ColdStart) -> Advice | None:
    """Many sizes of CUDA graphs are captured."""
    taken, count = seconds(start, "graph_capture"), int(start.facts.get("graphs", 0))
    if start.engine not in _SIZES or taken < _SLOW_CAPTURE or count <= _MANY_GRAPHS:
        return None
    gain = taken * (1 - _FEW_GRAPHS / count)
    return Advice(
        "many CUDA graphs are captured",
        f"Capturing took {taken:.1f} s for {count} batch sizes; the time grows with their number.",
        f"capture only the sizes that you serve: {_SIZES[start.engine]}",
        round(gain, 1),
        lines(start, "graph_capture"),
    )


def prefill_graphs(start: ColdStart) -> Advice | None:
    """SGLang captured graphs for the prefill."""
    taken = sum(s.seconds for s in start.walk() if s.phase == "graph_capture" and "prefill" in s.label)
    if start.engine != "sglang" or taken < _SLOW_CAPTURE:
        return None
    return Advice(
        "graphs are captured for the prefill",
        f"Capturing prefill graphs took {taken:.1f} s.",
        "--disable-prefill-cuda-graph (older: --disable-piecewise-cuda-graph) leaves them out; decoding keeps its own",
        taken,
        lines(start, "graph_capture"),
    )


def graph_memory(start: ColdStart) -> Advice | None:
    """vLLM captures graphs twice, once to see how much memory they need."""
    taken = seconds(start, "graph_memory_profile")
    if taken < WORTH_IT:
        return None
    return Advice(
        "graphs are captured once more to measure their memory",
        f"Profiling the memory of CUDA graphs took {taken:.1f} s.",
        "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0 leaves it out; lower --gpu-memory-utilization a little instead",
        taken,
        lines(start, "kernel_warmup"),
    )


def autotune(start: ColdStart) -> Advice | None:
    """FlashInfer tuned its kernels because it had no tuning results on disk."""
    taken = sum(s.seconds for s in start.walk() if s.phase == "kernel_warmup" and s.label == "autotune")
    if taken < WORTH_IT:
        return None
    directory = str(start.facts.get("autotune_cache", ""))
    kept = f" in {directory}" if directory else ""
    return Advice(
        "kernels are tuned at every start",
        f"FlashInfer's autotuner ran for {taken:.1f} s.",
        f"keep its results{kept} (VLLM_FLASHINFER_AUTOTUNE_CACHE_DIR) from start to start, or leave it out with -O0",
        taken,
        lines(start, "kernel_warmup"),
    )


def gemm_tuning(start: ColdStart) -> Advice | None:
    """LMDeploy's turbomind tunes matrix products."""
    if start.engine != "lmdeploy" or start.variant != "turbomind":
        return None
    taken = sum(s.seconds for s in start.walk() if s.phase == "kernel_warmup")
    if taken < WORTH_IT:
        return None
    return Advice(
        "matrix products are tuned at every start",
        f"Turbomind's warm-up took {taken:.1f} s.",
        "set TM_GEMM_EXPORT=FILE once and TM_GEMM_IMPORT=FILE from then on",
        taken,
        lines(start, "kernel_warmup"),
    )


def multi_modal(start: ColdStart) -> Advice | None:
    """The frontend of vLLM warms up the processing of images."""
    taken = seconds(start, "mm_warmup")
    if taken < WORTH_IT:
        return None
    return Advice(
        "image processing is warmed up",
        f"The multi-modal warm-up took {taken:.1f} s.",
        'if only text is served: --limit-mm-per-prompt \'{"image":0,"video":0,"audio":0}\'',
        taken,
        lines(start, "warmup"),
    )


def fitting(start: ColdStart) -> Advice | None:
    """llama.cpp tries out what fits into memory."""
    taken = seconds(start, "fit_params")
    if start.engine != "llama.cpp" or taken < WORTH_IT:
        return None
    return Advice(
        "parameters are fitted to memory at every start",
        f"Fitting parameters to free memory took {taken:.1f} s.",
        "-fit off, with -ngl and -c set to what was found",
        taken,
        lines(start, "profile_kv"),
    )
