"""Starting engines, reading what they print, ending them whole."""

import asyncio
import errno
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.freezer import freezer_for
from glowplug.engines.base import Launch
from glowplug.node import supervisor as supervisor_module
from glowplug.node.guardian import Guardian
from glowplug.node.supervisor import Supervisor
from glowplug.tiers.base import ExitCause, TierError
from tests.node.programs import ESCAPING, FAMILY, PATIENCE, STUBBORN, printed, shell, spawn, until

pytestmark = pytest.mark.slow


async def test_an_engine_runs_in_its_own_session_and_group_without_input(supervisor, containment):
    tree = await spawn(supervisor, "readlink /proc/self/fd/0; echo ready; exec sleep 1000")
    assert os.getsid(tree.pid) == tree.pid != os.getsid(0)
    assert tree.output() == ["/dev/null", "ready"]
    assert list(tree.pids()) == [tree.pid]
    if containment == "none":
        assert tree.cgroup is None
    else:
        assert tree.cgroup is not None
        assert cgroups.members(tree.cgroup) == [tree.pid]


async def test_an_engine_inherits_nothing_but_its_output(supervisor):
    tree = await spawn(supervisor, "ls /proc/self/fd; echo ready; exec sleep 1000")
    # 3 is the directory that `ls` itself reads.
    assert tree.output() == ["0", "1", "2", "3", "ready"]


async def test_signals_are_as_a_program_expects_them(supervisor):
    tree = await spawn(supervisor, "grep -E 'Sig(Blk|Ign)' /proc/self/status; echo ready; exec sleep 1000")
    standard = (1 << 31) - 1  # signals 32 and above are the C library's and real-time ones, which no one can reset
    blocked, ignored = (int(line.split()[1], 16) & standard for line in tree.output()[:2])
    assert (blocked, ignored) == (0, 0)


async def test_environment_and_directory_are_those_of_the_launch(supervisor, tmp_path, monkeypatch):
    monkeypatch.setenv("FROM_SERVER", "1")
    launch = Launch(["sh", "-c", 'echo "$FROM_SERVER$OWN"; pwd; echo ready; sleep 1000'], {"OWN": "2"}, tmp_path)
    tree = await supervisor.spawn("model-0", launch)
    await printed(supervisor, "ready")
    assert tree.output()[:2] == ["12", str(tmp_path)]


async def test_output_and_errors_come_in_order_through_one_pipe(supervisor):
    tree = await supervisor.spawn("model-0", shell("echo one; echo two >&2; echo three; printf tail"))
    await tree.exited
    assert tree.output() == ["one", "two", "three", "tail"]


async def test_an_engine_that_prints_much_is_not_held_up_by_a_reader_who_does_not_read(supervisor, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f"echo first; read go < {gate}; seq 200000; echo ready; exec sleep 1000"
    tree = await supervisor.spawn("model-0", shell(script))
    reader = supervisor.ring("model-0").follow()
    assert await anext(reader) == "first"
    await asyncio.to_thread(gate.write_text, "go\n")
    await printed(supervisor, "ready")
    assert tree.output()[-2:] == ["200000", "ready"]
    assert "lines left out" in await anext(reader)


async def test_what_an_earlier_start_printed_stays_in_the_log_but_is_not_this_ones_output(supervisor):
    first = await supervisor.spawn("model-0", shell("echo one"))
    await first.exited
    await first.stop(0)
    second = await supervisor.spawn("model-0", shell("echo two"))
    await second.exited
    assert second.output() == ["two"]
    assert supervisor.ring("model-0").lines() == ["one", "two"]


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("exit 0", ExitCause(code=0)),
        ("exit 3", ExitCause(code=3)),
        ("kill -SEGV $$", ExitCause(signal=signal.SIGSEGV)),
        ("kill -KILL $$", ExitCause(signal=signal.SIGKILL)),
    ],
)
async def test_how_an_engine_ended_is_told(supervisor, script, cause):
    tree = await supervisor.spawn("model-0", shell(script))
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.shield(tree.exited) == cause
    assert await tree.stop(0) == cause
    assert list(tree.pids()) == []


@pytest.mark.parametrize(
    ("launch", "reason"),
    [
        (Launch(["/no/such/program"]), "No such file or directory /no/such/program"),
        (Launch(["/etc/passwd"]), "Permission denied"),
        (Launch(["true"], cwd=Path("/no/such/place")), "/no/such/place"),
    ],
)
async def test_an_engine_that_cannot_be_started_says_why(supervisor, launch, reason):
    with pytest.raises(TierError, match=reason):
        await supervisor.spawn("model-0", launch)
    await until(lambda: not supervisor._trees)


@pytest.mark.parametrize("script", [FAMILY, ESCAPING])
async def test_stopping_ends_every_process_wherever_it_went(supervisor, script):
    tree = await spawn(supervisor, script)
    pids = tree.pids()
    assert len(pids) == (5 if script == FAMILY else 2)
    assert (await tree.stop(PATIENCE)).signal == signal.SIGTERM
    assert not [pid for pid in pids if processes.alive(pid)]
    assert tree.cgroup is None or not tree.cgroup.exists()


async def test_an_engine_that_ignores_the_request_to_end_is_killed_after_the_grace(supervisor):
    tree = await spawn(supervisor, STUBBORN)
    assert await tree.stop(0.05) == ExitCause(signal=signal.SIGKILL)
    assert not processes.alive(tree.pid)


async def test_an_engine_may_use_its_grace_to_end_in_its_own_way(supervisor):
    tree = await spawn(supervisor, "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    assert await tree.stop(PATIENCE) == ExitCause(code=7)
    assert tree.output()[-1] == "bye"


async def test_a_frozen_engine_is_stopped_at_once_without_running_again(supervisor):
    tree = await spawn(supervisor, "trap 'echo ran again; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
    freezer_for(tree.pids, tree.cgroup).freeze(PATIENCE)
    assert await tree.stop(PATIENCE) == ExitCause(signal=signal.SIGKILL)
    assert tree.output() == ["ready"]


async def test_two_may_stop_the_same_engine(supervisor):
    tree = await spawn(supervisor, FAMILY)
    causes = await asyncio.gather(tree.stop(PATIENCE), tree.stop(0), tree.stop(PATIENCE))
    assert len(set(causes)) == 1
    assert await tree.stop(0) == causes[0]


async def test_what_an_engine_leaves_behind_when_it_ends_by_itself_is_ended_too(supervisor):
    tree = await spawn(supervisor, FAMILY)
    pids = tree.pids()
    os.kill(tree.pid, signal.SIGKILL)
    await until(lambda: not supervisor._trees)
    assert not [pid for pid in pids if processes.alive(pid)]


async def test_a_grandchild_that_escaped_does_not_outlive_an_engine_that_ends_by_itself(supervisor):
    tree = await spawn(supervisor, ESCAPING)
    _, escaped = tree.pids()
    assert processes.read_stat(escaped).parent != tree.pid
    os.kill(tree.pid, signal.SIGKILL)
    await until(lambda: not supervisor._trees)
    assert not processes.alive(escaped)


async def test_what_is_left_behind_may_clean_up_before_it_is_killed(supervisor):
    script = "sh -c 'trap \"echo cleaned up; exit\" TERM; echo ready; while :; do sleep 0.01; done' & wait"
    tree = await spawn(supervisor, script)
    os.kill(tree.pid, signal.SIGKILL)
    await printed(supervisor, "cleaned up")


@pytest.mark.parametrize("script", [FAMILY, ESCAPING])
async def test_even_a_killed_guardian_leaves_no_engine_behind(supervisor, script):
    tree = await spawn(supervisor, script)
    pids = tree.pids()
    guardian = processes.read_stat(tree.pid).parent
    os.kill(guardian, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        assert (await asyncio.shield(tree.exited)).signal == signal.SIGKILL
    await until(lambda: not supervisor._trees)
    assert not [pid for pid in pids if processes.alive(pid)]


async def test_closing_ends_all_engines(tmp_path, containment):
    supervisor = Supervisor(tmp_path / "state")
    await supervisor.start()
    trees = [await spawn(supervisor, FAMILY, f"model-{number}") for number in range(3)]
    pids = [pid for tree in trees for pid in tree.pids()]
    followed = asyncio.create_task(anext(supervisor.ring("model-0").follow()))
    await followed
    await supervisor.close(PATIENCE)
    assert len(pids) == 15
    assert not [pid for pid in pids if processes.alive(pid)]
    assert list((tmp_path / "state" / "runs").iterdir()) == []


async def test_starting_and_stopping_leaves_no_file_descriptor_behind(supervisor):
    async def round_trip() -> int:
        tree = await spawn(supervisor, FAMILY)
        await tree.stop(0)
        await supervisor._spare
        return len(os.listdir("/proc/self/fd"))

    first = await round_trip()
    assert [await round_trip() for _ in range(5)] == [first] * 5


async def test_an_engine_called_off_while_it_starts_is_ended(supervisor):
    starting = asyncio.create_task(supervisor.spawn("model-0", shell(FAMILY)))
    await until(lambda: bool(supervisor._trees) or starting.done())
    starting.cancel()
    await asyncio.wait({starting})
    if not starting.cancelled():
        await starting.result().stop(0)
    await until(lambda: not supervisor._trees)


async def test_a_record_that_cannot_be_removed_does_not_hold_an_end_up(supervisor, tmp_path, caplog):
    tree = await spawn(supervisor, FAMILY)
    runs = tmp_path / "state" / "runs"
    runs.rename(tmp_path / "runs")
    runs.touch()  # root may write everywhere, but not below a file
    assert await tree.stop(0) == ExitCause(signal=signal.SIGKILL)
    assert not supervisor._trees
    assert "The end of an engine could not be recorded: " in caplog.text


def _kill(guardian):
    os.kill(guardian.pid, signal.SIGKILL)
    guardian._process.wait()


def _groups(supervisor):
    hierarchy = cgroups.freezable()
    return [] if hierarchy is None else list(hierarchy.own.glob(f"glowplug-{supervisor._lock.instance}-*"))


async def test_a_start_without_a_guardian_leaves_no_cgroup_behind(supervisor, monkeypatch):
    def fail(*_arguments, **_settings):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    await (await spawn(supervisor, FAMILY)).stop(0)
    _kill(await supervisor._spare)
    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(TierError, match="cannot be started: Resource temporarily unavailable"):
        await supervisor.spawn("model-0", shell(FAMILY))
    assert _groups(supervisor) == []


async def test_a_start_called_off_before_its_guardian_is_there_leaves_neither_guardian_nor_cgroup(
    supervisor, monkeypatch
):
    async def round_trip() -> int:
        tree = await spawn(supervisor, FAMILY)
        await tree.stop(0)
        await supervisor._spare
        return len(os.listdir("/proc/self/fd"))

    before = await round_trip()
    slow, go = threading.Event(), threading.Event()

    class Slow(Guardian):
        """Takes until `go` to start."""

        def __init__(self) -> None:
            slow.set()
            go.wait(PATIENCE)
            super().__init__()

    for spare_died in (False, True):
        with monkeypatch.context() as patch:
            patch.setattr(supervisor_module, "Guardian", Slow)
            spare = await supervisor._spare
            if spare_died:
                _kill(spare)  # it is replaced
            else:
                spare.dismiss()
                supervisor._spare = None
                supervisor._prepare_spare()
            starting = asyncio.create_task(supervisor.spawn("model-0", shell(FAMILY)))
            await asyncio.to_thread(slow.wait, PATIENCE)
            await asyncio.sleep(0)
            starting.cancel()
            await asyncio.wait({starting})
            assert starting.cancelled()
            go.set()
        assert _groups(supervisor) == []
        slow.clear()
        go.clear()
        supervisor._prepare_spare()
        assert await round_trip() == before


async def test_python_engines_print_without_delay_unless_the_launch_says_otherwise(supervisor):
    await supervisor.spawn("model-0", shell("echo ready $PYTHONUNBUFFERED; sleep 1000"))
    assert await printed(supervisor, "ready") == "ready 1"
    await supervisor.spawn("model-1", shell("echo ready $PYTHONUNBUFFERED; sleep 1000", PYTHONUNBUFFERED="0"))
    assert await printed(supervisor, "ready", "model-1") == "ready 0"


async def test_the_root_of_a_tree_is_the_parent_of_its_main_process(supervisor):
    tree = await spawn(supervisor, "echo ready; sleep 1000")
    stat = processes.read_stat(tree.pid)
    assert stat is not None
    assert tree.root == stat.parent
