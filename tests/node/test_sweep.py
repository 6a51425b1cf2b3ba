"""A server that is killed leaves nothing behind, and the next one sees to it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from glowplug.checkpoint import cgroups, processes
from glowplug.node.runs import Run, RunTable
from glowplug.node.supervisor import Supervisor
from tests.node.programs import ESCAPING, FAMILY, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@contextmanager
def _server(state_dir, hierarchy, *scripts):
    """A server with engines: its process, the engines' pids and the guardians'."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.node.server_program", str(state_dir), hierarchy, *scripts],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    told = {"pids": [], "guardians": []}
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield process, told["pids"], told["guardians"]
    finally:
        process.kill()
        process.wait()
        for pid in told["pids"]:
            if processes.alive(pid):
                os.kill(pid, signal.SIGKILL)


def _alive(pids):
    return [pid for pid in pids if processes.alive(pid)]


async def test_engines_end_with_a_server_that_is_killed_even_before_the_next_starts(tmp_path, containment):
    with _server(tmp_path, containment, FAMILY, ESCAPING, f"frozen:{FAMILY}") as (server, pids, guardians):
        assert len(pids) == 12
        server.kill()
        await until(lambda: not _alive(pids) and not _alive(guardians))


async def test_the_next_server_ends_what_escaped_when_the_guardians_were_killed_too(tmp_path, containment):
    with _server(tmp_path, containment, ESCAPING, f"frozen:{ESCAPING}") as (server, pids, guardians):
        # The guardians first: a guardian that hears of its server's end would do the work.
        for pid in (*guardians, server.pid):
            os.kill(pid, signal.SIGKILL)
        server.wait()
        await until(lambda: not _alive(guardians))
        supervisor = Supervisor(tmp_path)
        await supervisor.start()
        assert not _alive(pids)
        assert list((tmp_path / "runs").iterdir()) == []
        assert _groups_of(tmp_path) == []
        await supervisor.close(0)


async def test_the_next_server_ends_what_a_stopped_guardian_still_holds(tmp_path, containment):
    with _server(tmp_path, containment, FAMILY) as (server, pids, guardians):
        os.kill(guardians[0], signal.SIGSTOP)
        server.kill()
        server.wait()
        assert _alive(pids)
        supervisor = Supervisor(tmp_path)
        await supervisor.start()
        assert not _alive(pids)
        await until(lambda: not _alive(guardians))
        assert list((tmp_path / "runs").iterdir()) == []
        await supervisor.close(0)


async def test_engines_of_another_state_directory_are_left_alone(tmp_path, containment):
    with _server(tmp_path / "one", containment, FAMILY) as (_, pids, _):
        other = Supervisor(tmp_path / "two")
        await other.start()
        await other.close(0)
        assert _alive(pids) == pids


def _run(pid, **changes):
    stat = processes.read_stat(pid)
    known = {
        "mark": "0123-abcd",
        "replica_id": "model-0",
        "guardian": pid,
        "start_time": stat.start_time,
        "boot_id": processes.boot_id(),
        "cgroup": None,
    }
    return Run(**{**known, **changes})


def _sweep_with_child(tmp_path, **changes):
    """Sweep a table that names a process of the test as guardian; whether its child lived through it."""
    process = subprocess.Popen(["sh", "-c", "sleep 1000 & echo ready; wait"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        (child,) = processes.descendants(process.pid)
        table = RunTable(tmp_path, "0123")
        table.record(_run(process.pid, **changes))
        ended = table.sweep()
        assert list(tmp_path.iterdir()) == []
        return ended, processes.alive(child)
    finally:
        for pid in (*processes.descendants(process.pid), process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def test_a_process_with_the_recorded_pid_and_start_time_is_ended(tmp_path):
    assert _sweep_with_child(tmp_path) == (["model-0"], False)


def test_a_later_process_with_the_same_pid_is_left_alone(tmp_path):
    assert _sweep_with_child(tmp_path, start_time=1) == ([], True)


def test_a_process_of_an_earlier_boot_is_not_looked_for(tmp_path):
    assert _sweep_with_child(tmp_path, boot_id="another boot") == ([], True)


def test_a_record_that_cannot_be_read_is_thrown_away(tmp_path):
    (tmp_path / "half.json").write_text('{"mark": "0123')
    (tmp_path / "old.json").write_text('{"pid": 1}')
    assert RunTable(tmp_path, "0123").sweep() == []
    assert list(tmp_path.iterdir()) == []


def _groups_of(state_dir):
    instance = (state_dir / "instance").read_text()
    return [path for place in cgroups.hierarchies() for path in place.own.glob(f"glowplug-{instance}-*")]
