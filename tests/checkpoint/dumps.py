"""Programs in namespaces of their own, dumped and restored by the real CRIU."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import pytest

from glowplug.checkpoint import criu_binary, processes

_NAMESPACES = ("unshare", "--mount", "--pid", "--ipc", "--net", "--fork", "--mount-proc", "--kill-child")
_LIMIT = ("timeout", "--signal=KILL", "60")  # a CRIU that hangs would write its log without end

# PID 1 of the namespaces. It starts what its arguments say with pids above the given one, and collects the dead. CRIU
# gets the output by its number too, for what it restores; when CRIU is done, that is said on the output.
_INIT = """
import os, subprocess, sys
output, restores = int(sys.argv[2]), sys.argv[3] == "restore"
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
open("/proc/sys/kernel/ns_last_pid", "w").write(sys.argv[1])
with open("/dev/null") as nothing:
    started = subprocess.Popen(
        sys.argv[4:], stdin=nothing, stdout=output, stderr=subprocess.STDOUT,
        start_new_session=True, pass_fds=[output] if restores else [],
    )
if restores:
    os.write(output, b"restored\\n" if started.wait() == 0 else b"failed\\n")
os.close(output)
while True:
    try:
        os.wait()
    except ChildProcessError:
        import time
        time.sleep(0.01)
"""


class Namespaced:
    """A process in fresh namespaces; `say` asks it with a signal for a line of text."""

    def __init__(self, argv: Sequence[str], first_pid: int, what: Literal["start", "restore"]) -> None:
        self._reading, writing = os.pipe()
        self.pipe = os.fstat(self._reading).st_ino
        argv = [part.replace("{OUTPUT}", str(writing)) for part in argv]
        init = [sys.executable, "-I", "-S", "-c", _INIT, str(first_pid), str(writing), what, *argv]
        self._outside = subprocess.Popen([*_NAMESPACES, *init], pass_fds=[writing], stdin=subprocess.DEVNULL)
        os.close(writing)

    @property
    def init(self) -> int:
        """Pid of the init, as seen from outside."""
        return processes.children(self._outside.pid)[0]

    @property
    def pid(self) -> int:
        """Pid of the program as seen from outside."""
        (child,) = (pid for pid in processes.children(self.init) if processes.alive(pid))
        return child

    def say(self) -> str:
        """The line that the program writes on SIGUSR1."""
        os.kill(self.pid, signal.SIGUSR1)
        return self.line()

    def line(self, patience: float = 60.0) -> str:
        """The next line of output; fails if none comes."""
        text = b""
        while not text.endswith(b"\n"):
            assert select.select([self._reading], [], [], patience)[0], "no output"
            part = os.read(self._reading, 1)
            assert part, f"ended after {text!r}"
            text += part
        return text.decode().strip()

    def dump(self, criu: Sequence[str], images: Path) -> None:
        """Dump it; it is dead afterwards."""
        inside = (Path("/proc") / str(self.pid) / "status").read_text().partition("NSpid:")[2].split()[1]
        enter = ("nsenter", "-t", str(self.init), "-p", "-m", "-n", "-i", *_LIMIT)
        where = ("-D", str(images), "-W", str(images), "-o", "dump.log", "-v2", "--display-stats")
        done = subprocess.run([*enter, *criu, "dump", "-t", inside, *where], capture_output=True, text=True)
        assert done.returncode == 0, (images / "dump.log").read_text()

    def end(self) -> None:
        """Kill all of it."""
        with suppress(IndexError, ProcessLookupError):
            os.kill(self.init, signal.SIGKILL)
        self._outside.kill()
        self._outside.wait()
        os.close(self._reading)


@contextmanager
def running(program: Path, *arguments: str) -> Iterator[Namespaced]:
    """A Python program in namespaces, once it has written `ready`; gone after the block."""
    process = Namespaced([sys.executable, "-I", "-S", str(program), *arguments], 900, "start")
    try:
        assert process.line() == "ready"
        yield process
    finally:
        process.end()


@contextmanager
def restored(criu: Sequence[str], images: Path, work: Path, pipe: int) -> Iterator[Namespaced]:
    """What was dumped, running again in fresh namespaces; gone after the block."""
    where = ("-D", str(images), "-W", str(work), "-o", "restore.log", "-v1", "--display-stats", "--restore-detached")
    inherit = ("--inherit-fd", f"fd[{{OUTPUT}}]:pipe:[{pipe}]")
    process = Namespaced([*_LIMIT, *criu, "restore", *where, *inherit], 500, "restore")
    try:
        while (line := process.line()) != "restored":  # CRIU writes its statistics there
            assert line != "failed", (work / "restore.log").read_text()
        yield process
    finally:
        process.end()


def usable_criu() -> Sequence[str]:
    """How to start CRIU, or a skipped test."""
    if reason := criu_binary.criu_closed():
        pytest.skip(reason)
    criu = criu_binary.find()
    assert criu is not None
    return criu.argv
