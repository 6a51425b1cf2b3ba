"""What an engine is told before it is parked and after it is thawed, and how it is asked whether it lives."""

import asyncio
import json
import sys

import pytest

from glowplug.config.models import Config
from glowplug.node import watching
from glowplug.scheduler.values import Tier
from tests.node.nodes import R, park, serving, wake

MIB = 2**20


def command(**options) -> Config:
    """The fake engine's program behind the adapter for command lines."""
    held = json.dumps({"name": "fake", "memory": 64 * MIB})[:-1]
    run = [sys.executable, "-P", "-m", "glowplug.engines.fake_server", held + ', "port": {port}}']
    model = {"engine": "command", "options": {"run": run, **options}, "start_timeout": "20s", "gpu_memory": 7 * MIB}
    return Config.model_validate({"models": {"fake": model}})


async def test_an_engine_gives_its_memory_back_before_it_is_parked_and_takes_it_again(tmp_path):
    settings = command(rest=["POST /sleep?level=1"], wake=["POST /wake_up"])
    async with serving(tmp_path, settings) as (node, _):
        running = await node.wake(R, "fake", Tier.CACHED)
        parked = await node.rest(R, "fake", Tier.RUNNING, Tier.PARKED)
        again = await node.wake(R, "fake", Tier.PARKED)
        assert (parked.error, again.error) == (None, None)
        assert running.measured.ram - parked.measured.ram > 50 * MIB
        phases = [span["phase"] for span in again.cold_start["spans"]]
        assert phases == ["thaw", "wake", "canary"]


async def test_gpu_memory_stays_charged_as_declared_because_nothing_measures_it(tmp_path):
    async with serving(tmp_path, command()) as (node, _):
        running = await node.wake(R, "fake", Tier.CACHED)
        parked = await node.rest(R, "fake", Tier.RUNNING, Tier.PARKED)
        cached = await node.rest(R, "fake", Tier.PARKED, Tier.CACHED)
        assert [landed.measured.gpu for landed in (running, parked, cached)] == [7 * MIB, 7 * MIB, 0]


async def test_command_lines_do_as_well_as_calls_and_get_the_port(tmp_path):
    told = tmp_path / "told"
    tell = f"{sys.executable} -c 'import sys; open(sys.argv[1], \"a\").write(sys.argv[2])' {told}"
    async with serving(tmp_path, command(rest=[f"{tell} rest:{{port}}"], wake=[f"{tell} wake:{{name}}"])) as (node, _):
        await wake(node)
        port = node._replicas[R].body.port
        await park(node)
        await wake(node, Tier.PARKED)
        assert told.read_text() == f"rest:{port}wake:fake"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("POST /fake/status/409", "409"),
        ("false", "exited with code 1"),
        ("no-such-program-anywhere", "No such file"),
    ],
)
async def test_an_engine_that_does_not_do_as_it_was_told_is_ended_and_the_reason_kept(tmp_path, step, reason):
    async with serving(tmp_path, command(rest=[step], wake=["true"])) as (node, _):
        await wake(node)
        landed = await node.rest(R, "fake", Tier.RUNNING, Tier.PARKED)
        assert landed.tier is Tier.CACHED
        assert reason in landed.error
        assert node.pid(R) is None


async def test_a_command_line_can_say_that_an_engine_no_longer_lives(tmp_path):
    ticks: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(seconds):
        if seconds == watching.ALIVE_INTERVAL:
            await ticks.get()
        else:
            await asyncio.get_running_loop().create_future()

    healthy = tmp_path / "healthy"
    healthy.touch()
    async with serving(tmp_path, command(alive=f"test -e {healthy}"), sleep=sleep) as (node, told):
        await wake(node)
        ticks.put_nowait(None)
        healthy.unlink()
        for _ in range(watching.ALIVE_FAILURES + 1):
            ticks.put_nowait(None)
        assert await told.exit() == "The engine stopped answering."
