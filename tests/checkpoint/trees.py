"""Real process trees for the tests to freeze."""

import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.cgroups import Hierarchy

FAMILY = "sleep 1000 & sh -c 'sleep 1000 & sleep 1000 & echo ready; wait' & wait"
"""A shell with two children and two grandchildren: five processes."""

STORM = f"""
exec {sys.executable} -c '
import os
os.write(1, b"ready\\n")
while True:
    child = os.fork()
    if not child:
        os.write(1, b"x")
        os._exit(0)
    os.waitpid(child, 0)
'
"""
"""A process that has a new child each time one looks; every child writes a byte."""

THREADS = f"""
exec {sys.executable} -c '
import os, threading, time
for _ in range(20):
    threading.Thread(target=time.sleep, args=(1000,)).start()
os.write(1, b"ready\\n")
'
"""

VFORK = f"""
exec {sys.executable} -c '
import ctypes, os, time
libc = ctypes.PyDLL(None)
if libc.vfork() == 0:
    os.write(1, b"ready\\n")
    time.sleep(1000)
    os._exit(0)
'
"""
"""A process in uninterruptible sleep, as it always is for a moment while it starts another one: no signal stops it."""

STARTING = f"""
exec {sys.executable} -c '
import ctypes, os, time
libc = ctypes.PyDLL(None)
if libc.vfork() == 0:
    os.write(1, b"ready\\n")
    time.sleep(0.1)
    os.execvp("sleep", ["sleep", "1000"])
'
"""
"""The same, but the new process executes its program 0.1 s after it was born."""


class Tree:
    """A shell script's process and its descendants; `output` is the reading end of its standard output."""

    def __init__(self, script: str, group: Path | None) -> None:
        if group is not None:
            script = f"echo $$ > {group}/cgroup.procs; {script}"
        self.process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True, bufsize=0)
        assert self.process.stdout is not None
        self.output = self.process.stdout
        if self.output.read(6) != b"ready\n":
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError("the script did not get ready")

    def members(self) -> list[int]:
        """All living processes, the first one first."""
        found = [self.process.pid, *processes.descendants(self.process.pid)]
        return [pid for pid in found if processes.alive(pid)]

    def silent(self, seconds: float) -> bool:
        """Whether nothing is written for a while, once what is in the pipe has been read."""
        while select.select([self.output], [], [], 0)[0]:
            os.read(self.output.fileno(), 65536)
        return not select.select([self.output], [], [], seconds)[0]

    def end(self, group: Path | None = None) -> None:
        """Kill everything, what left the cgroup included."""
        pids = self.members()
        if group is not None:
            cgroups.kill(group)
        while pids:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self.process.pid in pids:
                self.process.wait()
            pids = [pid for pid in pids if processes.alive(pid)]
        self.process.wait()
        self.output.close()


@contextmanager
def running(script: str, group: Path | None = None) -> Iterator[Tree]:
    """A tree that runs in the block, and is gone after it."""
    tree = Tree(script, group)
    try:
        yield tree
    finally:
        tree.end(group)


@contextmanager
def new_group(controller: str) -> Iterator[Path]:
    """An empty cgroup in the version 2 (`controller` empty) or version 1 freezer hierarchy, or a skipped test."""
    group = writable(controller).own / f"glowplug-test-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        yield group
    finally:
        for pid in cgroups.members(group):
            os.kill(pid, signal.SIGKILL)
        while not cgroups.remove(group):
            assert cgroups.members(group) or group.exists()


def writable(controller: str) -> Hierarchy:
    """The hierarchy, if groups can be made in it; else the test is skipped."""
    found = [hierarchy for hierarchy in cgroups.hierarchies() if hierarchy.controller == controller]
    hierarchy = cgroups.freezable(found)
    if hierarchy is None:
        pytest.skip(f"the cgroup hierarchy {controller or 'version 2'} cannot be written here")
    return hierarchy
