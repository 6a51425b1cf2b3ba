"""Frozen sandboxes, and what any end of a sandbox leaves behind: nothing."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from glowplug.checkpoint import processes
from glowplug.checkpoint.freezer import freezer_for
from glowplug.checkpoint.sandbox import Restore
from glowplug.engines.base import Launch
from glowplug.node.image_space import ImageSpace, NoImageSpace
from glowplug.node.supervisor import Supervisor
from glowplug.tiers.base import ExitCause, TierError
from tests.node.programs import ESCAPING, FAMILY, PATIENCE, until
from tests.node.sandboxes import (
    ROOT,
    Traces,
    descriptors,
    groups_of,
    hanging,
    names,
    spawn,
    still_used,
    surroundings,
)

pytestmark = pytest.mark.root


def _criu(engine, then="exit 0", *, fill=()):
    """Stands in for CRIU: leaves a command behind under the number of the engine, and ends with another command."""
    script = f"(echo 900 > /proc/sys/kernel/ns_last_pid; {engine} &); {then}"
    return Restore(["/bin/sh", "-c", script], 901, fill)


def _ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_a_sandboxed_tree_is_frozen_and_thawed_whole(supervisor):
    tree = await spawn(supervisor, "while :; do :; done & echo ready; while :; do :; done")
    freezer = freezer_for(tree.pids, tree.cgroup)
    freezer.freeze(PATIENCE)
    assert freezer.frozen()
    before = {pid: _ticks(pid) for pid in tree.pids()}
    assert len(before) == 2
    await asyncio.sleep(0.05)
    assert {pid: _ticks(pid) for pid in tree.pids()} == before
    freezer.thaw(PATIENCE)
    await until(lambda: all(_ticks(pid) > before[pid] for pid in before))


async def test_a_frozen_one_is_stopped_at_once_without_running_again(supervisor):
    tree = await spawn(supervisor, "trap 'echo ran again; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
    traces = Traces(tree)
    freezer_for(tree.pids, tree.cgroup).freeze(PATIENCE)
    assert await tree.stop(PATIENCE) == ExitCause(signal=signal.SIGKILL)
    assert tree.output() == ["ready"]
    await until(lambda: not traces.left())


@pytest.mark.parametrize("script", [FAMILY, ESCAPING])
@pytest.mark.parametrize("who", ["nobody", "engine", "init", "guardian", "frozen guardian"])
async def test_nothing_is_left_of_a_sandbox_whoever_is_killed(supervisor, script, who):
    tree = await spawn(supervisor, script, network=True)
    traces = Traces(tree)
    assert len(traces.names) == 4
    assert len(traces.left()) >= 4 + len(traces.pids)
    if who == "frozen guardian":
        freezer_for(tree.pids, tree.cgroup).freeze(PATIENCE)
    if who == "nobody":
        await tree.stop(PATIENCE)
    else:
        os.kill({"engine": tree.pid, "init": tree.init}.get(who, tree.root), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            assert (await asyncio.shield(tree.exited)).signal == signal.SIGKILL
    await until(lambda: not supervisor._trees)
    assert not [pid for pid in traces.pids if processes.alive(pid)]
    await until(lambda: not traces.left())


@pytest.mark.parametrize(("kind", "waiting"), [("start", "glowplug-init"), ("restore", "sleep")])
async def test_a_start_or_restore_that_is_called_off_leaves_nothing_behind(supervisor, tmp_path, kind, waiting):
    await (await spawn(supervisor, "echo ready; sleep 1000")).stop(0)
    await supervisor._spare
    before = descriptors()
    starting = asyncio.create_task(supervisor.spawn("model-0", Launch(["true"]), hanging(kind, tmp_path)))
    await until(lambda: any(waiting in names(tree.root) for tree in supervisor._trees.values()))
    (tree,) = supervisor._trees.values()
    pids = [tree.root, *processes.descendants(tree.root)]
    starting.cancel()
    await asyncio.wait({starting})
    assert starting.cancelled()
    await until(lambda: not supervisor._trees)
    assert not [pid for pid in pids if processes.alive(pid)]
    supervisor._prepare_spare()
    await supervisor._spare
    assert len(descriptors()) == len(before)


@contextmanager
def _server(state_dir, hierarchy, *kinds):
    """A server with sandboxes: its process, and all processes, guardians and namespaces that it has made."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.node.sandbox_server", str(state_dir), hierarchy, *kinds],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    told = {"pids": []}
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield process, told
    finally:
        process.kill()
        process.wait()
        for pid in told["pids"]:
            if processes.alive(pid):
                os.kill(pid, signal.SIGKILL)


def _left(told, state_dir):
    alive = [pid for pid in told["pids"] if processes.alive(pid)]
    return [*alive, *still_used(told["namespaces"]), *groups_of(state_dir)]


async def test_nothing_is_left_of_a_server_that_is_killed_even_before_the_next_starts(tmp_path, containment):
    with _server(tmp_path, containment, "running", "frozen", "start", "restore") as (server, told):
        assert len(told["namespaces"]) == 4 * 2 + 1
        assert len(told["pids"]) > 12
        assert set(told["namespaces"]) <= still_used(told["namespaces"])
        server.kill()
        server.wait()
        await until(lambda: not _left(told, tmp_path))


async def test_the_next_server_clears_away_what_is_left_when_the_guardians_were_killed_too(tmp_path, containment):
    with _server(tmp_path, containment, "running", "frozen", "restore") as (server, told):
        for pid in (*told["guardians"], server.pid):
            os.kill(pid, signal.SIGKILL)
        server.wait()
        supervisor = Supervisor(tmp_path)
        await supervisor.start()
        await until(lambda: not _left(told, tmp_path))
        await supervisor.close(0)


@pytest.mark.parametrize("containment", ["none"], indirect=True)
class TestRestores:
    """The way of a restore, with a shell in the place of CRIU."""

    async def test_what_criu_leaves_with_the_number_of_the_engine_is_the_engine(self, supervisor, tmp_path):
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        restore = _criu(f"sh -c 'read line < {gate}; exit 7' & sleep 1000")
        tree = await supervisor.spawn("model-0", Launch([]), surroundings(tmp_path, restore=restore))
        assert b"read line" in Path(f"/proc/{tree.pid}/cmdline").read_bytes()
        await asyncio.to_thread(gate.write_text, "go\n")
        assert await asyncio.shield(tree.exited) == ExitCause(code=7)

    async def test_what_is_to_be_filled_is_filled_before(self, supervisor, tmp_path):
        (tmp_path / "semaphore").write_text("1")
        restore = _criu("sleep 1000", "cat /dev/shm/semaphore", fill=[(tmp_path, Path("/dev/shm"))])
        tree = await supervisor.spawn("model-0", Launch([]), surroundings(tmp_path, restore=restore))
        assert tree.output() == ["1"]

    @pytest.mark.parametrize(
        ("engine", "then", "reason"),
        [
            ("sleep 1000", "exit 1", "CRIU did not restore the image"),
            ("true", "while [ -e /proc/901 ]; do :; done", "the restored engine ended at once"),
            ("true", "exec /no/such/criu", "CRIU did not restore the image"),
        ],
    )
    async def test_a_restore_that_fails_says_so_and_leaves_nothing(self, supervisor, engine, then, reason):
        with pytest.raises(TierError, match=reason):
            await supervisor.spawn("model-0", Launch([]), surroundings(restore=_criu(engine, then)))
        assert not supervisor._trees

    async def test_memory_for_images_is_seen_in_sandboxes_and_nowhere_else(self, supervisor, tmp_path):
        images = tmp_path / "images"
        images.mkdir()
        space = ImageSpace(images)
        try:
            (space.path / "page").write_bytes(b"x" * 100_000)
            assert space.used() >= 100_000
            assert not list(images.iterdir())
            tree = await spawn(
                supervisor,
                f"cat {images}/page | wc -c; echo ready; sleep 1000",
                mounts_of=space.mounts,
                paths=(tmp_path,),
            )
            assert tree.output() == ["100000", "ready"]
        finally:
            (namespace,) = {os.readlink(space.mounts)}
            space.close()
        assert not still_used([namespace])
        assert processes.alive(tree.pid)


def test_memory_for_images_that_cannot_be_mounted_says_why_and_leaves_nothing_open(tmp_path):
    before = descriptors()
    with pytest.raises(NoImageSpace, match="cannot be made: No such file or directory"):
        ImageSpace(tmp_path / "missing")
    assert descriptors() == before
