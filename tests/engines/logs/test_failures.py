"""Starts that fail: what is known of them, and the reason shown."""

from collections.abc import Sequence

import pytest

from glowplug.coldstart.values import ColdStart
from tests.engines.logs.reading import lines_of, read

TRACEBACK = ("Traceback (most recent call last):", '  File "/app/server.py", line 12, in main', "    run()")


def failed(*lines: str) -> ColdStart:
    (start,) = read("\n".join(lines))
    assert start.outcome == "failed"
    assert start.total is None
    return start


def on(prefix: str, lines: Sequence[str]) -> list[str]:
    return [prefix + line for line in lines]


def test_vllm_out_of_memory_keeps_the_phases_before() -> None:
    worker = "(EngineCore pid=61) ERROR 05-02 08:01:00 [core.py:900] "
    start = failed(
        *lines_of("vllm-0.22.log")[:16],
        worker + "EngineCore failed to start.",
        *on(worker, TRACEBACK),
        worker + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "(APIServer pid=7) RuntimeError: Engine core initialization failed. Failed core proc(s): {}",
    )
    assert start.reason is not None
    assert start.reason.startswith("torch.OutOfMemoryError: CUDA out of memory.")
    assert start.reported["model_load_reported"] == 5.5
    assert start.reported["torch_compile_reported"] == 22.5
    assert "graph_capture" not in start.reported


def test_vllm_model_that_does_not_exist() -> None:
    start = failed(
        *lines_of("vllm-0.22.log")[:4],
        *on("(APIServer pid=7) ", TRACEBACK),
        "(APIServer pid=7) OSError: acme/tiny-1b is not a local folder and is not a valid model identifier",
    )
    assert start.reason == "OSError: acme/tiny-1b is not a local folder and is not a valid model identifier"
    assert (start.version, start.model) == ("0.22.0", "acme/tiny-1b")


def test_vllm_cause_is_shown_rather_than_its_consequence() -> None:
    start = failed(
        *lines_of("vllm-0.10.log")[:11],
        "(EngineCore_DP0 pid=91) Process EngineCore_DP0:",
        *on("(EngineCore_DP0 pid=91) ", TRACEBACK),
        "(EngineCore_DP0 pid=91) ValueError: No valid attention backend found",
        "(APIServer pid=40) RuntimeError: Engine core initialization failed. See root cause above.",
    )
    assert start.reason == "ValueError: No valid attention backend found"


def test_sglang_scheduler_is_killed() -> None:
    start = failed(
        *lines_of("sglang-0.4-tp2.log")[:7],
        *on("[2025-02-04 05:20:40 TP1] ", ("Scheduler hit an exception: Traceback (most recent call last):",)),
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 512.00 MiB.",
        "[2025-02-04 05:20:41] Received sigquit from a child process. It usually means the child failed.",
        "Killed",
    )
    assert start.reason is not None
    assert start.reason.startswith("torch.OutOfMemoryError")
    assert start.reported["dist_init"] == 2


def test_lmdeploy_traceback_that_is_cut() -> None:
    start = failed(*lines_of("lmdeploy-pytorch-info.log")[:5], "Process mp_engine_proc:", TRACEBACK[0])
    assert start.variant == "pytorch"
    assert start.reason == "an exception was raised (line 7), and the log ends before it is named"
    assert start.reported["weights_load"] == 7


def test_lmdeploy_aborts() -> None:
    start = failed(
        *lines_of("lmdeploy-turbomind-warning.log")[:5],
        "[TM][ERROR] CUDA runtime error: out of memory /src/allocator.cc:49",
        "Aborted (core dumped)",
    )
    assert start.reason == "CUDA runtime error: out of memory /src/allocator.cc:49"


def test_lmdeploy_check_fails() -> None:
    start = failed(
        *lines_of("lmdeploy-turbomind-warning.log")[:5],
        "[TM][FATAL] kernels/gemm/measurer.cu(83): Check failed: status == 0 (209 vs. 0) no kernel image",
    )
    assert start.reason == "Check failed: status == 0 (209 vs. 0) no kernel image"


def test_tgi_shard_cannot_start() -> None:
    start = failed(
        *lines_of("tgi-3.3-two-shards.log")[:22],
        "2025-07-04T12:00:20.000000Z ERROR shard-manager: text_generation_launcher: Shard complete error output:",
        "",
        *TRACEBACK,
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB. GPU rank=1",
        "2025-07-04T12:00:20.100000Z ERROR text_generation_launcher: Shard 1 failed to start",
        "2025-07-04T12:00:20.200000Z  INFO text_generation_launcher: Shutting down shards",
        "Error: ShardCannotStart",
    )
    assert start.reason is not None
    assert start.reason.startswith("torch.cuda.OutOfMemoryError: CUDA out of memory.")
    assert start.reported["weights_download"] == 3.5


def test_tgi_download_fails_without_a_word() -> None:
    start = failed(*lines_of("tgi-1.4-convert.log")[:2], "Error: DownloadError")
    assert start.reason == "Error: DownloadError"


def test_llama_cpp_out_of_memory_comes_before_its_consequence() -> None:
    start = failed(
        *lines_of("llama-2026-stamped.log")[:16],
        "0.17.000.000 E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 122.28 MiB on device 0: "
        "cudaMalloc failed: out of memory",
        "0.17.100.000 E srv    load_model: failed to load model, '/root/.cache/llama.cpp/tiny-1b.gguf'",
        "0.17.200.000 E srv  llama_server: exiting due to model loading error",
    )
    assert start.reason == "0: cudaMalloc failed: out of memory"


def test_llama_cpp_does_not_know_the_architecture() -> None:
    start = failed(
        *lines_of("llama-2026-stamped.log")[:8],
        "0.12.800.000 E llama_model_load: error loading model: unknown model architecture: 'tinier'",
        "0.12.800.100 E llama_model_load_from_file_impl: failed to load model",
        "0.12.900.000 E srv  llama_server: exiting due to model loading error",
    )
    assert start.reason == "error loading model: unknown model architecture: 'tinier'"


def test_llama_cpp_port_is_taken() -> None:
    start = failed(
        *lines_of("llama-2026-stamped.log")[:6],
        "0.12.700.100 E srv         start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080",
        "0.12.700.200 E srv  llama_server: exiting due to HTTP server error",
    )
    assert start.reason == "couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080"


@pytest.mark.parametrize(
    ("first", "line", "reason"),
    [
        (
            lines_of("llama-2024.log")[0],
            "error: invalid argument: --no-such-flag",
            "error: invalid argument: --no-such-flag",
        ),
        (
            lines_of("llama-2026-stamped.log")[0],
            'error while handling argument "--spec-type": unknown speculative type: mtp',
            'error while handling argument "--spec-type": unknown speculative type: mtp',
        ),
        (
            lines_of("tgi-1.4-convert.log")[0],
            "error: unexpected argument '--no-such-flag' found",
            "error: unexpected argument '--no-such-flag' found",
        ),
        (
            "(APIServer pid=7) INFO 05-02 08:00:00 [api_server.py:1] vLLM API server version 0.22.0",
            "vllm serve: error: unrecognized arguments: --no-such-flag",
            "error: unrecognized arguments: --no-such-flag",
        ),
    ],
)
def test_a_flag_that_the_engine_does_not_know(first: str, line: str, reason: str) -> None:
    assert failed(first, line).reason == reason


def test_transformers_cannot_load_the_model() -> None:
    start = failed(
        *lines_of("transformers-forced.log")[:2],
        *TRACEBACK,
        "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files in the disk cache",
    )
    assert (start.engine, start.model) == ("transformers", "acme/tiny-1b")
    assert start.reason is not None
    assert "Cannot find the requested files" in start.reason


def test_an_error_that_the_engine_survives_is_no_failure() -> None:
    lines = lines_of("vllm-0.22.log")
    (start,) = read("\n".join([*lines[:6], *TRACEBACK, "ImportError: no module named 'nvtx'", *lines[6:]]))
    assert (start.outcome, start.reason) == ("ready", None)
