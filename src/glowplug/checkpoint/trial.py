"""Whether snapshots work on this machine, found out by making and restoring one.

A small process with a TCP connection, a pipe, a thread and a file in /dev/shm goes the way that an engine goes:
sandbox, dump, end, fresh sandbox, restore. Neither the version of CRIU nor `criu check` tells that it works: CRIU 4.1
passes its own check on kernels on which it cannot dump a single TCP socket.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from glowplug.checkpoint import processes
from glowplug.checkpoint.criu import RESTORE_LOG, CriuError, Place, dump, inner_pid, read_log, restore_command
from glowplug.checkpoint.criu_binary import Criu
from glowplug.checkpoint.criu_log import explain
from glowplug.checkpoint.sandbox import Restore, Sandbox, visible_directories
from glowplug.checkpoint.sandbox_init import copy_tree

TIMEOUT = 20.0
"""Seconds for all of it together, which takes about 0.4."""

_TIME_TO_END = 5.0
_FOLDER = Path(__file__).parent
_SHARED = Path("/dev/shm")  # noqa: S108


class TrialFailed(Exception):
    """Snapshots do not work here; says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A dump and a restore that worked. Seconds, bytes."""

    dump_seconds: float
    restore_seconds: float
    image_bytes: int


def try_snapshot(criu: Criu, *, timeout: float = TIMEOUT) -> Trial:
    """Dump and restore the small process. Blocks; nothing is left behind.

    Raises:
        TrialFailed: it could not be dumped or restored, came back incomplete, or took longer than `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    with tempfile.TemporaryDirectory(prefix="glowplug-trial-") as name:
        folder = Path(name)
        try:
            return _dump_and_restore(criu, folder, deadline)
        except CriuError as error:
            raise TrialFailed(explain(error.log, "dump")) from None
        except (TimeoutError, _NoAnswer):
            raise TrialFailed(f"a small process was not dumped and restored within {timeout:g} s") from None
        except OSError as error:
            log = read_log(folder / "work" / RESTORE_LOG)
            raise TrialFailed(
                explain(log, "restore") if log else f"a small process could not be tried: {error.strerror or error}"
            ) from None


class _NoAnswer(Exception):
    """The process did not answer in time."""


def _dump_and_restore(criu: Criu, folder: Path, deadline: float) -> Trial:
    place = Place(folder / "images", folder / "work", folder / "work")
    shared = folder / "shm"
    for directory in (place.images, place.work, shared):
        directory.mkdir()
    visible = visible_directories((folder, Path(sys.executable), Path(sys.prefix), Path(criu.argv[0])))

    program = (sys.executable, "-I", "-S", str(_FOLDER / "trial_program.py"))
    with _sandbox(Sandbox(visible), program, deadline) as original:
        original.await_line("ready", deadline)
        started = time.monotonic()
        left = max(0.1, deadline - started)
        dump(criu, init=original.init, engine=inner_pid(original.engine), place=place, timeout=left)
        dumped = time.monotonic() - started
        engine, pipe = inner_pid(original.engine), original.output_name
        copy_tree(f"/proc/{original.init}/root{_SHARED}", str(shared))

    restore = Restore(restore_command(criu, place, pipe), engine, [(shared, _SHARED)])
    started = time.monotonic()
    with _sandbox(Sandbox(visible, restore=restore), (), deadline) as copy:
        restored = time.monotonic() - started
        os.kill(copy.engine, signal.SIGUSR1)
        copy.await_line("whole", deadline)
    size = sum(file.stat().st_size for file in place.images.iterdir())
    return Trial(dumped, restored, size)


class _Running:
    """A sandbox with its process. `output_name` is the name of the process's output in an image."""

    def __init__(self, script: int, output: int) -> None:
        self._output = output
        self.output_name = f"pipe:[{os.fstat(output).st_ino}]"
        (self.init,) = processes.children(script)
        (self.engine,) = (pid for pid in processes.children(self.init) if processes.alive(pid))

    def await_line(self, wanted: str, deadline: float) -> None:
        """Wait for the process to say `wanted`. Raises _NoAnswer, or TrialFailed if it says something else."""
        said = _read(self._output, deadline, until=b"\n").decode(errors="replace").strip()
        if said != wanted:
            raise TrialFailed(f"the restored process is not whole: {said or 'it ended'}")


@contextmanager
def _sandbox(sandbox: Sandbox, program: Sequence[str], deadline: float) -> Generator[_Running]:
    """Raises _NoAnswer if it is not made in time, OSError if it cannot be made."""
    with ExitStack() as stack:
        guardian, _ = _pipe(stack)
        told, tell = _pipe(stack)
        report = _packets(stack)
        output, writing = _pipe(stack)
        passed = (guardian.fileno(), tell.fileno(), report.fileno())
        script = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(_FOLDER / "trial_script.py")),
                *(json.dumps(sandbox.as_plan(network=False)), *map(str, passed), *program),
            ],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            pass_fds=passed,
        )
        stack.callback(_end, script)
        for end in (guardian, tell, report, writing):
            end.close()
        if failure := _read(told.fileno(), deadline):
            raise OSError(0, failure.decode(errors="replace").partition(" ")[2])
        yield _Running(script.pid, output.fileno())


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return stack.enter_context(os.fdopen(reading, "rb", 0)), stack.enter_context(os.fdopen(writing, "wb", 0))


def _packets(stack: ExitStack) -> socket.socket:
    """One end of a pair of sockets; what is sent is not read."""
    end, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stack.enter_context(other)
    return stack.enter_context(end)


def _read(descriptor: int, deadline: float, until: bytes | None = None) -> bytes:
    """All that comes before `until`, or before the end. Raises _NoAnswer if that takes too long."""
    text = b""
    while until is None or not text.endswith(until):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise _NoAnswer
        part = os.read(descriptor, 1)
        if not part:
            break
        text += part
    return text


def _end(script: "subprocess.Popen[bytes]") -> None:
    """Kill the first process of the sandbox, with which all of it ends, and then what made it."""
    for pid in processes.children(script.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        script.wait(_TIME_TO_END)
    except subprocess.TimeoutExpired:
        script.kill()
        script.wait()
