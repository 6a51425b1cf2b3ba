"""Live profiles of real processes."""

import asyncio
import os
import shlex
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from glowplug.checkpoint import processes
from glowplug.coldstart.values import from_json, to_json
from glowplug.node.strays import MARK
from glowplug.profiling import engine_process
from glowplug.profiling.live import LiveProfile, Plan
from glowplug.profiling.live_error import LiveError
from tests.engines.running import free_port

pytestmark = pytest.mark.slow

ENGINE = Path(__file__).with_name("speaking_engine.py")
PATIENCE = 60.0


def speaking(seconds=0.3, port=None):
    """The command of an engine that speaks as vLLM does."""
    return [sys.executable, str(ENGINE), str(port or free_port()), str(seconds)]


async def profiled(argv, *, on_progress=lambda _: None, **settings):
    settings = {"timeout": PATIENCE, **settings}
    async with LiveProfile(Plan(argv, **settings), on_progress) as live:
        return await live.run()


def covered(start):
    """Part of the total that the outermost spans cover."""
    reached = total = 0.0
    for span in sorted(start.spans, key=lambda span: span.start):
        total += max(0.0, span.end - max(span.start, reached))
        reached = max(reached, span.end)
    return total / start.total


def spans_of(start, phase, label=None):
    return [span for span in start.walk() if span.phase == phase and label in (None, span.label)]


async def test_the_spans_of_a_start_cover_it_from_the_launch_to_the_first_token():
    start = await profiled(speaking())
    assert (start.engine, start.version, start.outcome, start.reason) == ("vllm", "9.8.7", "ready", None)
    assert covered(start) >= 0.95
    assert start.spans[0].phase == "process_start"
    assert start.spans[-1].phase == "first_token"
    assert start.spans[-1].end == pytest.approx(start.total, abs=1e-6)
    assert start.total >= 0.9
    assert start.started_at.endswith("+00:00")
    assert from_json(to_json(start)).total == pytest.approx(start.total, abs=1e-6)


async def test_each_process_is_seen_importing_and_each_phase_where_it_was():
    start = await profiled(speaking())
    (main,) = spans_of(start, "python_import", "")
    (core,) = spans_of(start, "python_import", "EngineCore")
    assert main.start < core.start < core.end
    assert core.seconds >= 0.3
    (load,) = spans_of(start, "weights_load")
    assert (load.seconds, load.source) == (0.3, "reported")
    assert core.end <= load.end <= start.total


@pytest.mark.parametrize(
    ("work", "verdict"),
    [
        ("time.sleep(1.5)", "waited"),
        ("while time.process_time() < 1.5: pass", "computed"),
        ("subprocess.run([sys.executable, '-c', 'import time\\nwhile time.process_time() < 1.5: pass'])", "computed"),
    ],
)
async def test_gaps_tell_whether_the_processes_computed_or_waited(work, verdict):
    port = free_port()
    code = f"import runpy, subprocess, sys, time\n{work}\nrunpy.run_path({str(ENGINE)!r})['serve']({port})"
    start = await profiled([sys.executable, "-c", code], url=f"http://127.0.0.1:{port}")
    assert (start.engine, start.outcome) == ("unknown", "ready")
    longest = max(spans_of(start, "gap"), key=lambda span: span.seconds)
    assert longest.seconds >= 0.5
    assert longest.activity.verdict == verdict


async def test_what_the_engine_says_of_itself_is_told_beside_what_its_log_says():
    start = await profiled(speaking())
    assert start.reported["oracle_kv_allocation"] >= 0.3
    assert start.facts["engine_spans"][0]["name"] == "Allocate KV cache"
    (kv,) = spans_of(start, "profile_kv")
    assert kv.source == "reported"
    assert any(kv in span.children for span in spans_of(start, "engine_init"))


async def test_sglang_is_asked_for_its_times_when_the_log_does_not_tell_the_engine():
    port = free_port()
    start = await profiled(["sh", "-c", f"{shlex.join(speaking(0, port))} >/dev/null"], url=f"http://127.0.0.1:{port}")
    assert start.reported["oracle_weights_load"] == 0.5
    assert start.reported["oracle_graph_capture"] == 0.25


async def test_what_was_seen_from_outside_is_told_in_its_order():
    reported = (await profiled(speaking(0.1))).reported
    assert 0 < reported["first_health"] <= reported["first_model_list"] <= reported["first_token_at"]


async def test_the_conditions_and_the_processes_are_told(monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    monkeypatch.setenv("VLLM_CACHE_ROOT", "/cache")
    start = await profiled([*speaking(0.1), "--api-key", "secret"])
    conditions = start.conditions
    assert conditions["environment"]["VLLM_CACHE_ROOT"] == "/cache"
    assert "secret" not in str(to_json(start))
    names = [process["name"] for process in conditions["processes"]]
    assert len(names) == 2
    assert conditions["memory_peak"] > 1024**2
    assert {"kernel", "cpu", "load", "memory_available"} <= set(conditions)
    assert conditions["sampling_cost"] < start.total


async def test_nothing_is_left_of_the_engine():
    await profiled(speaking(0.1))
    assert list(processes.tagged(MARK, "profile-")) == []


async def test_an_engine_that_ends_is_a_failed_start_with_its_reason_and_what_came_before():
    code = f"import runpy; runpy.run_path({str(ENGINE)!r})['core'](0.1); raise SystemExit('OSError: disk is gone')"
    start = await profiled([sys.executable, "-c", code])
    assert (start.outcome, start.engine) == ("failed", "vllm")
    assert "disk is gone" in start.reason
    assert start.reported["weights_load"] == 0.1
    assert covered(start) >= 0.95


async def test_an_engine_that_takes_too_long_is_incomplete():
    start = await profiled([sys.executable, "-c", "import time; print('hello'); time.sleep(1000)"], timeout=0.5)
    assert (start.outcome, start.reason) == ("incomplete", "There was no token within 0.5 s.")
    assert covered(start) >= 0.95


async def test_an_engine_that_answers_without_a_token_is_incomplete():
    start = await profiled(speaking(0), model="missing")
    assert start.outcome == "incomplete"
    assert "no such model" in start.reason
    assert start.reported["first_health"] > 0


async def test_an_interrupted_profile_tells_what_is_known():
    def interrupt(progress):
        if progress.phase == "config_tokenizer":
            os.kill(os.getpid(), signal.SIGINT)

    start = await profiled(speaking(5), on_progress=interrupt)
    assert (start.outcome, start.version) == ("incomplete", "9.8.7")
    assert "interrupted" in start.reason
    assert list(processes.tagged(MARK, "profile-")) == []


async def test_a_second_interrupt_kills_an_engine_that_does_not_end(monkeypatch):
    monkeypatch.setattr(engine_process, "STOP_GRACE", 1000.0)
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        command = ["sh", "-c", "trap '' TERM; echo hello; while :; do sleep 1000; done"]
        live = await stack.enter_async_context(LiveProfile(Plan(command, timeout=PATIENCE)))
        running = asyncio.create_task(live.run())
        os.kill(os.getpid(), signal.SIGINT)
        start = await running
        closing = asyncio.create_task(stack.aclose())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)
        await closing
    assert start.outcome == "incomplete"
    assert list(processes.tagged(MARK, "profile-")) == []


@pytest.mark.slow
async def test_progress_tells_the_phase_and_what_the_processes_do():
    seen = []
    await profiled(speaking(1.2), on_progress=seen.append)
    computing = [progress for progress in seen if progress.cores > 0.3]
    assert computing
    assert all(progress.memory > 1024**2 for progress in seen)
    assert max(progress.processes for progress in seen) >= 2
    assert [progress.seconds for progress in seen] == sorted(progress.seconds for progress in seen)


async def test_the_output_is_copied_as_it_came(tmp_path):
    log = tmp_path / "engine.log"
    await profiled(speaking(0), log=log)
    lines = log.read_text().splitlines()
    assert "vLLM server version 9.8.7" in lines[0]
    assert any("Application startup complete" in line for line in lines)


async def test_a_log_that_cannot_be_written_starts_nothing(tmp_path):
    with pytest.raises(LiveError, match="cannot be written"):
        await profiled(speaking(0), log=tmp_path / "none" / "log")


async def test_a_command_that_does_not_exist_is_told():
    with pytest.raises(LiveError, match=r"^/no/such: The engine cannot be started: No such file or directory"):
        await profiled(["/no/such"])


async def test_the_engine_serves_on_until_it_is_interrupted():
    port = free_port()
    async with LiveProfile(Plan(speaking(0, port), timeout=PATIENCE)) as live:
        await live.run()
        waiting = asyncio.create_task(live.until_interrupted())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.0\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()
        assert not waiting.done()
        assert live.base == f"http://127.0.0.1:{port}"
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(waiting, PATIENCE)
    assert list(processes.tagged(MARK, "profile-")) == []


async def test_gaps_of_an_engine_elsewhere_are_not_explained(tmp_path):
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\nexec {shlex.join(speaking(0.2))}\n")
    docker.chmod(0o755)
    start = await profiled([str(docker), "run", "image"])
    assert start.outcome == "ready"
    assert spans_of(start, "gap")
    assert all(span.activity is None for span in spans_of(start, "gap"))
    assert any("docker" in note for note in start.notes)
