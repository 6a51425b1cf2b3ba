"""Whether memory ran out, told from the counters there are."""

import asyncio
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from glowplug.checkpoint import cgroups
from glowplug.checkpoint.cgroups import Hierarchy
from glowplug.node import exits
from glowplug.node.exits import OomWatch
from glowplug.tiers.base import ExitCause

ROOT = Path(__file__).parents[2]
KILLED = ExitCause(signal=9)


def _counter(directory, kills):
    directory.mkdir(exist_ok=True)
    (directory / "memory.events").write_text(f"oom 9\noom_kill {kills}\n")
    return directory


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The server's own cgroup, with no kill in it yet."""
    directory = _counter(tmp_path / "own", 0)
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [Hierarchy("", tmp_path, directory)])
    return directory


def test_the_counter_of_the_engines_own_cgroup_is_proof_either_way(own, tmp_path):
    watch = OomWatch()
    _counter(own, 5)
    assert not watch.ended(KILLED, _counter(tmp_path / "engine", 0)).out_of_memory
    assert watch.ended(ExitCause(code=1), _counter(tmp_path / "engine", 1)).out_of_memory


def test_a_kill_in_the_servers_cgroup_explains_one_bad_end_only(own):
    watch = OomWatch()
    _counter(own, 1)
    assert watch.ended(KILLED, None).out_of_memory
    assert not watch.ended(KILLED, None).out_of_memory
    _counter(own, 2)
    assert watch.ended(ExitCause(code=1), None).out_of_memory
    _counter(own, 3)
    assert not watch.ended(ExitCause(code=0), None).out_of_memory


def test_kills_before_the_server_started_explain_nothing(own):
    _counter(own, 7)
    assert not OomWatch().ended(KILLED, None).out_of_memory


def test_without_a_counter_of_ours_the_machines_explains_a_kill_but_no_exit_code(monkeypatch):
    kills = iter([3, 3, 4, 5])
    monkeypatch.setattr(cgroups, "hierarchies", list)
    monkeypatch.setattr(exits, "_machine_oom_kills", lambda: next(kills))
    watch = OomWatch()
    assert not watch.ended(KILLED, None).out_of_memory
    assert watch.ended(KILLED, None).out_of_memory
    assert not watch.ended(ExitCause(code=1), None).out_of_memory


def test_the_machines_counter_can_be_read_here():
    assert exits._machine_oom_kills() >= 0


SERVER = """
import asyncio, sys
from pathlib import Path
from glowplug.checkpoint import cgroups
from glowplug.engines.base import Launch
from glowplug.node.supervisor import Supervisor

async def main():
    cgroups.freezable = lambda: None
    supervisor = Supervisor(Path(sys.argv[1]))
    await supervisor.start()
    eater = "held = []\\nwhile True: held.append(bytearray(2**20))"
    tree = await supervisor.spawn("model-0", Launch([sys.executable, "-c", eater]))
    print(await tree.exited, flush=True)
    await supervisor.close(0)

asyncio.run(main())
"""


@pytest.mark.root
async def test_an_engine_that_the_kernel_kills_for_its_memory_is_told_from_one_that_somebody_killed(tmp_path):
    group = _limited_group()
    try:
        command = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
        server = await asyncio.create_subprocess_exec(
            *command, sys.executable, "-c", SERVER, str(tmp_path), stdout=subprocess.PIPE, cwd=ROOT
        )
        output, _ = await server.communicate()
        assert output.decode().strip() == "was killed by the kernel because memory ran out"
    finally:
        cgroups.remove(group)


def _limited_group() -> Path:
    """A cgroup with 300 MB; the engine is the largest in it, so it is the one to be killed."""
    for hierarchy in cgroups.hierarchies():
        limit = "memory.max" if hierarchy.version == 2 else "memory.limit_in_bytes"
        if hierarchy.controller in ("", "memory") and os.access(hierarchy.own, os.W_OK):
            group = hierarchy.own / f"glowplug-test-{uuid.uuid4().hex[:8]}"
            try:
                group.mkdir()
                (group / limit).write_text(str(300 * 10**6))
            except OSError:
                cgroups.remove(group)
                continue
            return group
    pytest.skip("no cgroup with a memory limit can be made here")
