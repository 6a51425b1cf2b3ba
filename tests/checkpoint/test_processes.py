"""Reading /proc."""

import os
import subprocess
import sys
import time
from pathlib import Path

from glowplug.checkpoint import processes
from tests.checkpoint.trees import FAMILY, THREADS, running


def test_a_process_is_known_by_parent_state_and_start_time():
    stat = processes.read_stat(os.getpid())
    assert stat is not None
    assert stat.parent == os.getppid()
    assert stat.state == "R"
    started = stat.start_time / os.sysconf("SC_CLK_TCK")
    assert 0 < started < float(Path("/proc/uptime").read_text().split()[0])


def test_a_program_name_with_brackets_and_spaces_does_not_confuse(tmp_path):
    program = tmp_path / "a ) R 1 ("
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "1000"])
    try:
        stat = processes.read_stat(process.pid)
        assert stat is not None
        assert stat.parent == os.getpid()
    finally:
        process.kill()
        process.wait()


def test_a_process_that_has_ended_is_not_alive_even_before_it_is_collected():
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    stat = processes.read_stat(process.pid)
    assert stat is not None
    assert stat.dead
    assert not processes.alive(process.pid)
    process.wait()
    assert processes.read_stat(process.pid) is None
    assert processes.thread_states(process.pid) == []


def test_descendants_are_found_over_generations_parents_first():
    with running(FAMILY) as tree:
        found = processes.descendants(tree.process.pid)
        assert len(found) == 4
        assert tree.process.pid not in found
        order = {pid: position for position, pid in enumerate(found)}
        for pid in found:
            stat = processes.read_stat(pid)
            assert stat is not None
            assert stat.parent == tree.process.pid or order[stat.parent] < order[pid]


def test_descendants_are_the_same_on_a_kernel_without_children_files(monkeypatch):
    with running(FAMILY) as tree:
        expected = set(processes.descendants(tree.process.pid))
        monkeypatch.setattr(processes, "_HAS_CHILDREN_FILES", False)
        assert set(processes.descendants(tree.process.pid)) == expected


def test_every_thread_has_a_state():
    with running(THREADS) as tree:
        states = processes.thread_states(tree.process.pid)
        assert len(states) == 21
        assert set(states) <= {"S", "R"}


def test_processes_are_found_by_a_mark_in_their_environment_that_children_inherit():
    environment = {**os.environ, "GLOWPLUG_TEST_MARK": "abc-1"}
    process = subprocess.Popen(
        ["sh", "-c", "setsid sleep 1000 & echo ready; wait"], env=environment, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        # The environment of a process cannot be read while it is at its exec, and the child may still be.
        deadline = time.monotonic() + 10
        while len(set(processes.tagged("GLOWPLUG_TEST_MARK", "abc-"))) < 2 and time.monotonic() < deadline:
            pass
        family = {process.pid, *processes.descendants(process.pid)}
        assert len(family) == 2
        assert set(processes.tagged("GLOWPLUG_TEST_MARK", "abc-")) == family
        assert list(processes.tagged("GLOWPLUG_TEST_MARK", "abd")) == []
    finally:
        for pid in processes.tagged("GLOWPLUG_TEST_MARK", "abc-"):
            os.kill(pid, 9)
        process.wait()
