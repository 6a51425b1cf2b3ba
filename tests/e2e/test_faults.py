"""Everything that can die dies, at every moment; every request gets one answer or one honest error."""

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.server import PATIENCE, alive, fake, serving

pytestmark = pytest.mark.slow

PHASES = ("python_import", "weights_load", "warmup")


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("how", ["exit:3", "signal:9"])
async def test_an_engine_that_dies_in_a_phase_of_its_start_is_reported_with_cause(tmp_path, phase, how):
    phases = [{"phase": name, "seconds": 0} for name in PHASES]
    models = {"fake": fake(phases=phases, crash_at=f"start:{phase}", crash_how=how)}
    async with serving(tmp_path, {"models": models}) as server:
        status, answer, headers = await server.ask()
        assert status == 503
        assert ("code 3" if how == "exit:3" else "signal 9") in answer["error"]["message"]
        assert int(headers["retry-after"]) > 0
        assert (await server.model())["replicas"][0]["pid"] is None


@pytest.mark.parametrize("phase", PHASES)
async def test_an_engine_killed_from_outside_during_its_start_is_started_again_for_the_same_request(tmp_path, phase):
    phases = [{"phase": name, "seconds": 0.3} for name in PHASES]
    async with serving(tmp_path, {"models": {"fake": fake(phases=phases)}}) as server:
        asking = asyncio.create_task(server.ask())
        await _logged(server, phase)
        os.kill(await server.engine_pid(), signal.SIGKILL)
        status, _, _ = await asking
        assert status == 200


async def test_an_engine_killed_while_idle_is_noticed_and_started_again(tmp_path):
    async with serving(tmp_path, {"models": {"fake": fake()}}) as server, server.events() as events:
        await server.ask()
        os.kill(await server.engine_pid(), signal.SIGKILL)
        event = await events.tier("cached")
        assert "signal 9" in event["reason"]
        status, _, headers = await server.ask()
        assert (status, headers["x-glowplug-woke-from"]) == (200, "cached")


async def test_an_engine_killed_while_parked_is_started_again(tmp_path):
    async with serving(tmp_path, {"models": {"fake": fake()}}) as server, server.events() as events:
        await server.ask()
        await server.post("/glowplug/v1/models/fake/rest?tier=parked")
        os.kill(await server.engine_pid(), signal.SIGKILL)
        await events.tier("cached")
        status, _, headers = await server.ask()
        assert (status, headers["x-glowplug-woke-from"]) == (200, "cached")


async def test_an_engine_killed_before_it_answers_costs_the_client_nothing(tmp_path):
    models = {"fake": fake(tokens=50, tokens_per_second=25)}
    async with serving(tmp_path, {"models": models}) as server:
        await server.ask(max_tokens=1)
        asking = asyncio.create_task(server.ask(max_tokens=8))
        await _in_flight(server, 1)
        os.kill(await server.engine_pid(), signal.SIGKILL)
        status, answer, _ = await asking
        assert status == 200
        assert answer["usage"]["completion_tokens"] == 8


async def test_an_engine_that_dies_mid_stream_breaks_the_stream_off_visibly(tmp_path):
    models = {"fake": fake(tokens=100, tokens_per_second=50)}
    async with serving(tmp_path, {"models": models}) as server:
        await server.ask(max_tokens=1)
        body = {"model": "fake", "stream": True, "messages": [{"role": "user", "content": "x"}]}
        async with server.session.post(f"{server.url}/v1/chat/completions", json=body) as response:
            first = await response.content.readany()
            os.kill(await server.engine_pid(), signal.SIGKILL)
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()
        assert b"[DONE]" not in first
        assert (await server.ask())[0] == 200


async def test_a_server_killed_with_9_leaves_no_engine_and_starts_again(tmp_path):
    models = {"fake": fake(children=2), "parked": fake(children=2)}
    async with serving(tmp_path, {"models": models}) as server:
        await server.ask()
        await server.ask("parked")
        await server.post("/glowplug/v1/models/parked/rest?tier=parked")
        pids = [pid for name in models for pid in _tree(await server.engine_pid(name))]
        assert len(pids) == 6
        await server.stop(signal.SIGKILL)
    async with serving(tmp_path, {"models": models}) as server:
        assert not [pid for pid in pids if alive(pid)]
        assert (await server.ask())[0] == 200
        assert len((await server.get("/glowplug/v1/cold-starts"))["cold_starts"]) >= 2


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
async def test_a_full_disk_under_the_state_directory_stops_nothing(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    mounted = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(state))
    if await mounted.wait() != 0:
        pytest.skip("this machine does not allow mounting")
    try:
        models = {"fake": fake(keep_alive={"running": 0})}
        async with serving(tmp_path, {"models": models}) as server:
            assert (await server.ask())[0] == 200
            with (state / "filler").open("wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 4096)
                except OSError:
                    pass
            for _ in range(20):
                assert (await server.ask())[0] == 200
            assert await server.stop() == 0
    finally:
        await (await asyncio.create_subprocess_exec("umount", str(state))).wait()


async def test_ten_thousand_requests_with_random_kills_get_one_answer_or_one_honest_error_each(tmp_path):
    """Also: memory and file descriptors of the server level out."""
    chance = random.Random(2026)
    # Kills come faster than a start that must be proven, so patience with failing starts must not be what is tested.
    models = {"fake": fake(keep_alive={"running": "1h"})}
    async with serving(tmp_path, {"models": models}) as server:
        await server.ask()
        outcomes: Counter[str] = Counter()
        sizes: list[tuple[int, int]] = []

        async def client(count: int) -> None:
            for _ in range(count):
                outcomes[await _one_outcome(server, stream=chance.random() < 0.5)] += 1

        async def killer() -> None:
            for _ in range(40):
                done = sum(outcomes.values())
                await _until(lambda done=done: sum(outcomes.values()) >= done + 200)
                pid = await server.engine_pid()
                if pid is not None and alive(pid):
                    os.kill(pid, signal.SIGKILL)
                sizes.append((_rss(server.pid), len(os.listdir(f"/proc/{server.pid}/fd"))))

        clients = [asyncio.create_task(client(250)) for _ in range(40)]
        kills = asyncio.create_task(killer())
        await asyncio.gather(*clients)
        kills.cancel()
        assert sum(outcomes.values()) == 10_000
        assert set(outcomes) <= {"answered", "broken off", "refused"}, outcomes
        assert outcomes["answered"] > 9_000, outcomes
        view = await server.model()
        assert (view["queued"], view["in_flight"]) == (0, 0)
        assert (await server.ask())[0] == 200
        assert len(sizes) >= 20
        half = len(sizes) // 2
        early, late = max(rss for rss, _ in sizes[:half]), max(rss for rss, _ in sizes[half:])
        assert late < early * 1.2, sizes
        assert max(fds for _, fds in sizes[half:]) <= max(fds for _, fds in sizes[:half]) + 20, sizes


async def _one_outcome(server, *, stream: bool) -> str:
    """What a careful client sees: a complete answer, a stream that ends without its end, or an error that says why."""
    body = {"model": "fake", "stream": stream, "max_tokens": 4, "messages": [{"role": "user", "content": "x"}]}
    try:
        async with server.session.post(f"{server.url}/v1/chat/completions", json=body) as response:
            text = await response.read()
            if response.status == 200:
                complete = text.endswith(b"data: [DONE]\n\n") if stream else text.endswith(b"}")
                return "answered" if complete else "cut short without a sign"
            error = (await response.json())["error"]
            return "refused" if response.status in (502, 503) and error["message"] else f"status {response.status}"
    except aiohttp.ClientPayloadError:
        return "broken off"


async def _logged(server, text: str) -> None:
    """Wait until the engine printed `text`, following its log through the admin API."""
    async with asyncio.timeout(PATIENCE):
        while True:
            url = f"{server.url}/glowplug/v1/replicas/fake-0/logs?follow=true"
            async with server.session.get(url) as response:
                if response.status == 200:
                    async for line in response.content:
                        if text.encode() in line:
                            return
            await asyncio.sleep(0.01)  # the replica has no log before its process exists


async def _in_flight(server, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await server.model())["in_flight"] != count:
            await asyncio.sleep(0.01)  # the admin API shows this only when asked


async def _until(condition) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)  # counters of this test itself


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(p for child in children for p in _tree(int(child)))]


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
