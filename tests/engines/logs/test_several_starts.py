"""Several starts in one file: restarts, crash loops, workers side by side, consoles that put the newest line first."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from glowplug.coldstart.values import ColdStart
from tests.engines.logs.reading import lines_of, outline, read, start_of


def later(line: str, hours: int) -> str:
    """The line of a vLLM engine, so much later."""

    def moved(found: re.Match[str]) -> str:
        moment = datetime.strptime(found[0], "%m-%d %H:%M:%S").replace(tzinfo=UTC)
        return f"{moment + timedelta(hours=hours):%m-%d %H:%M:%S}"

    return re.sub(r"\d\d-\d\d \d\d:\d\d:\d\d", moved, line)


@pytest.mark.parametrize(
    "name",
    [
        "vllm-0.22.log",
        "vllm-tp4-draft.log",
        "vllm-v0.log",
        "sglang-0.4-tp2.log",
        "sglang-0.5.10-draft.log",
        "tgi-3.3-two-shards.log",
        "tgi-1.4-convert.log",
        "llama-2024.log",
        "llama-2026-stamped.log",
        "lmdeploy-pytorch-info.log",
        "lmdeploy-turbomind-info.log",
    ],
)
def test_a_restart_is_a_start_of_its_own(name: str) -> None:
    text = "\n".join(lines_of(name))
    first, second = read(text + text)
    plain = start_of(name)
    assert outline(first) == outline(second) == outline(plain)
    assert first.reported == second.reported == plain.reported
    assert first.lines[1] < second.lines[0]


def test_a_crash_loop_that_ends_well() -> None:
    crash = [*lines_of("vllm-0.22.log")[:6], "RuntimeError: NCCL error: unhandled system error"]
    rounds = [later(line, hours) for hours in range(3) for line in crash]
    starts = read("\n".join([*rounds, *(later(line, 5) for line in lines_of("vllm-0.22.log"))]))
    assert [start.outcome for start in starts] == ["failed", "failed", "failed", "ready"]
    assert {start.reason for start in starts[:3]} == {"NCCL error: unhandled system error"}
    assert starts[-1].total == 72


def test_a_crash_loop_before_the_engine_speaks() -> None:
    crash = "build: 3920 (0123abcd) with cc for x86_64-linux-gnu\nerror: invalid argument: --no-such-flag\n"
    starts = read(crash * 4)
    assert [start.outcome for start in starts] == ["failed"] * 4


def test_the_subject_of_a_file_is_its_last_good_start() -> None:
    good, bad = lines_of("sglang-0.4-tp2.log"), lines_of("sglang-0.5.10-draft.log")
    starts = read("\n".join([*good, *bad[:8], "torch.OutOfMemoryError: CUDA out of memory."]))
    assert [start.outcome for start in starts] == ["failed", "ready"]
    assert starts[-1].total == 68


def test_two_services_of_one_compose_file_side_by_side() -> None:
    left = [f"left-1   | {line}" for line in lines_of("vllm-0.22.log")[:-1]]
    right = [f"right-1  | {line}" for line in lines_of("sglang-0.5.23.log")[:-1]]
    mixed = [line for pair in zip(left, right, strict=False) for line in pair]
    rest = left[len(right) :] + right[len(left) :]
    starts = {start.engine: start for start in read("\n".join(mixed + rest))}
    assert starts.keys() == {"vllm", "sglang"}
    assert outline(starts["vllm"]) == outline(start_of("vllm-0.22.log"))
    assert outline(starts["sglang"]) == outline(start_of("sglang-0.5.23.log"))


WORKER = """\
engine.py           :27   2026-01-22 21:00:00,500 Engine args: AsyncEngineArgs(model='acme/tiny-1b')
INFO 01-22 21:00:04 [model.py:530] Resolved architecture: MadeUpForCausalLM
\x1b[0;36m(EngineCore_DP0 pid=90)\x1b[0;0m INFO 01-22 21:00:10 [core.py:93] Initializing a V1 LLM engine (v0.14.1) \
with config: model='acme/tiny-1b', load_format=auto, enforce_eager=False
\x1b[0;36m(EngineCore_DP0 pid=90)\x1b[0;0m INFO 01-22 21:00:12 [gpu_model_runner.py:1] Starting to load model acme
\x1b[0;36m(EngineCore_DP0 pid=90)\x1b[0;0m \\rLoading safetensors checkpoint shards: 100% Completed | 1/1 [00:04<0]\\n
\x1b[0;36m(EngineCore_DP0 pid=90)\x1b[0;0m INFO 01-22 21:00:17 [default_loader.py:1] Loading weights took 4.50 seconds
\x1b[0;36m(EngineCore_DP0 pid=90)\x1b[0;0m INFO 01-22 21:00:18 [gpu_model_runner.py:1] Model loading took 1.0 GiB \
memory and 5.500000 seconds
\x1b[0;36m(EngineCore_DP0 pid=90)\x1b[0;0m INFO 01-22 21:00:40 [core.py:272] init engine (profile, create kv cache, \
warmup model) took 21.00 seconds
engine.py           :171  2026-01-22 21:00:41,750 Initialized vLLM engine in 41.25s
engine.py           :180  2026-01-22 21:00:41,800 vLLM engines initialized successfully
--- Starting Serverless Worker |  Version 1.8.1 ---
Jobs in queue: 1"""


def console(worker: str, lag: float, text: str) -> list[tuple[float, str]]:
    """Lines as RunPod's console has them: local time, late by `lag` seconds, with the seconds to sort them by."""
    lines: list[tuple[float, str]] = []
    moment = datetime(2026, 1, 22, 13, 0, 0, tzinfo=UTC)
    for number, line in enumerate(text.split("\n")):
        when = moment + timedelta(seconds=lag + 4 * number)
        lines.append((lag + 4 * number, f"{when:%Y-%m-%d}  {when:%H:%M:%S}.027 | info | {worker} | {line}"))
    return lines


def test_a_console_newest_line_first_with_two_workers_interleaved() -> None:
    other = WORKER.replace("21:00:", "21:30:").replace("took 4.50", "took 6.00").replace("in 41.25s", "in 47.00s")
    lines = sorted([*console("a1b2c3", 0, WORKER), *console("z9y8x7", 1.5, other)], reverse=True)
    starts = read("\n".join(line for _, line in lines))
    by_load: dict[float, ColdStart] = {float(start.reported["weights_load"]): start for start in starts}
    assert by_load.keys() == {4.5, 6.0}
    first, second = by_load[4.5], by_load[6.0]
    assert {first.variant, second.variant} == {"runpod-worker"}
    assert (first.version, first.model, first.outcome) == ("0.14.1", "acme/tiny-1b", "ready")
    assert first.reported["worker_engine_init_reported"] == 41.25
    assert second.reported["worker_engine_init_reported"] == 47
    # The console's clock counts the whole, because the worker's last line has no other.
    assert first.total == pytest.approx(40, abs=1e-3)
    assert first.reported["dist_init"] == 2
    assert first.reported["model_load_reported"] == 5.5


def test_a_worker_that_runs_the_server_as_a_process_of_its_own() -> None:
    server = lines_of("vllm-0.22.log")[:-1]
    text = "\n".join(
        [
            "2026-05-02 07:59:58,000 INFO root: Starting vLLM: vllm serve acme/tiny-1b --port 8000",
            *server,
            "2026-05-02 08:01:14,000 INFO root: vLLM is healthy",
            "--- Starting Serverless Worker |  Version 1.9.0 ---",
        ]
    )
    (start,) = read(text)
    assert (start.engine, start.variant, start.outcome) == ("vllm", "runpod-worker", "ready")
    assert start.reported["model_load_reported"] == 5.5
    assert start.reported["engine_init_reported"] == 39.5
    assert start.total == 76
