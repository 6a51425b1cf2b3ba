"""Copies of one running program, made by CRIU in namespaces of their own."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from glowplug.checkpoint import criu_binary, processes

_NAMESPACES = ("unshare", "--mount", "--pid", "--ipc", "--net", "--fork", "--mount-proc", "--kill-child")

# First process of the namespaces. What it starts gets process ids above the given one. If it is CRIU that is started,
# the init says `restored` as soon as CRIU has ended well.
_INIT = """
import os, subprocess, sys
first, output, what, *argv = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
open("/proc/sys/kernel/ns_last_pid", "w").write(first)
with open("/dev/null") as nothing:
    started = subprocess.Popen(
        argv, stdin=nothing, stdout=int(output), stderr=subprocess.STDOUT, start_new_session=True,
        pass_fds=[int(output)] if what == "restore" else [],
    )
if what == "restore" and started.wait() == 0:
    os.write(int(output), b"restored\\n")
os.close(int(output))
while True:
    os.wait()
"""


class Copy:
    """A program in namespaces, original or restored."""

    def __init__(self, what: str, argv: Sequence[str], first_pid: int) -> None:
        self._reading, writing = os.pipe()
        self.pipe = os.fstat(self._reading).st_ino
        filled = [part.replace("OUTPUT", str(writing)) for part in argv]
        init = [sys.executable, "-I", "-S", "-c", _INIT, str(first_pid), str(writing), what, *filled]
        self._outside = subprocess.Popen([*_NAMESPACES, *init], pass_fds=[writing], stdin=subprocess.DEVNULL)
        os.close(writing)

    @property
    def init(self) -> int:
        """Pid of the first process in the namespaces, as seen from outside."""
        return processes.children(self._outside.pid)[0]

    def ask(self) -> str:
        """The line that the program writes when it gets SIGUSR1."""
        (program,) = processes.children(self.init)
        os.kill(program, signal.SIGUSR1)
        return self.line()

    def line(self) -> str:
        """The next line of output; fails if none comes."""
        text = b""
        while not text.endswith(b"\n"):
            assert select.select([self._reading], [], [], 90)[0], "no output"
            part = os.read(self._reading, 1)
            assert part, f"ended after {text!r}"
            text += part
        return text.decode().strip()

    def end(self) -> None:
        with suppress(IndexError, ProcessLookupError):
            os.kill(self.init, signal.SIGKILL)
        self._outside.kill()
        self._outside.wait()
        os.close(self._reading)


def usable_criu() -> Sequence[str]:
    """How to start CRIU, or a skipped test."""
    if reason := criu_binary.criu_closed():
        pytest.skip(reason)
    criu = criu_binary.find()
    assert criu is not None
    return criu.argv


@contextmanager
def running(argv: Sequence[str]) -> Iterator[Copy]:
    """The original, with the process id 901 inside, once it has said `ready`."""
    original = Copy("start", argv, 900)
    try:
        assert original.line() == "ready"
        yield original
    finally:
        original.end()


def dump(original: Copy, criu: Sequence[str], images: Path) -> None:
    """Write the image; the original is dead then."""
    enter = ("nsenter", "-t", str(original.init), "-p", "-m", "-n", "-i")
    where = ("-D", str(images), "-o", "dump.log", "-v4")
    options = ("--link-remap", "--file-locks", "--network-lock", "skip")
    done = subprocess.run([*enter, *criu, "dump", "-t", "901", *where, *options], capture_output=True, text=True)
    assert done.returncode == 0, (images / "dump.log").read_text()[-3000:]


@contextmanager
def restored(criu: Sequence[str], images: Path, work: Path, pipe: int) -> Iterator[Copy]:
    """A copy in fresh namespaces, running; `pipe` is the inode of the original's output."""
    work.mkdir()
    where = ("-D", str(images), "-W", str(work), "-o", "restore.log", "-v4", "--restore-detached")
    options = ("--inherit-fd", f"fd[OUTPUT]:pipe:[{pipe}]", "--network-lock", "skip")
    copy = Copy("restore", [*criu, "restore", *where, *options], 500)
    try:
        assert copy.line() == "restored", (work / "restore.log").read_text()[-3000:]
        yield copy
    finally:
        copy.end()
