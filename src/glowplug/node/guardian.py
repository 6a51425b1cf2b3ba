"""The server's end of a guardian process (see guardian_script.py for what that does, and why)."""

import asyncio
import contextlib
import marshal
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from glowplug.checkpoint import sandbox_init
from glowplug.checkpoint.sandbox import Sandbox
from glowplug.engines.base import Launch
from glowplug.tiers.base import ExitCause, TierError

_SCRIPT = Path(__file__).with_name("guardian_script.py")
_FOLDER = Path(sandbox_init.__file__).parent
_READ_SIZE = 64 * 1024
_PIPE_READS = (
    16  # what a pipe can hold at most (/proc/sys/fs/pipe-max-size); an engine that prints on is not waited for
)


@dataclass(frozen=True, slots=True)
class Order:
    """What a guardian is to start: the engine, its whole environment, and the cgroup that it is to enter first.

    With a sandbox that restores, the engine's program does not count."""

    launch: Launch
    env: Mapping[str, str]
    cgroup: Path | None
    sandbox: Sandbox | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The engine's main process, and whether it really entered the cgroup.

    In a sandbox, `init` is the first process in there, else None; `listening` is a socket of its network at which the
    engine asks for the way out, if it may have one.
    """

    pid: int
    init: int | None
    in_cgroup: bool
    listening: socket.socket | None


class Guardian:
    """A process that waits for the order to start an engine, then guards it.

    Attributes:
        pid: of the guardian itself; every process of the engine descends from it.
        output_pipe: the name by which /proc and CRIU know the pipe of the engine's output.
    """

    def __init__(self) -> None:
        """Start the process, which takes about a millisecond of this thread. Raises OSError."""
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._output, write_end = os.pipe2(os.O_CLOEXEC)
        self.output_pipe = f"pipe:[{os.fstat(self._output).st_ino}]"
        os.set_blocking(self._output, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT), str(_FOLDER)],
                stdin=theirs.fileno(),
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        except OSError:
            os.close(self._output)
            self._ours.close()
            raise
        finally:
            theirs.close()
            os.close(write_end)
        self.pid = self._process.pid

    @property
    def ready(self) -> bool:
        """Whether the process still waits for an order."""
        return self._process.poll() is None

    def watch(self, on_output: Callable[[bytes], None], on_exit: Callable[[ExitCause], None]) -> None:
        """Listen to it from the running event loop.

        `on_output` gets what the engine prints. `on_exit` is called when the engine's main process has ended, before
        anything that it left behind is ended too.
        """
        self._loop = asyncio.get_running_loop()
        self._on_output = on_output
        self._on_exit = on_exit
        self._started: asyncio.Future[Started] = self._loop.create_future()
        self._gone: asyncio.Future[bool] = self._loop.create_future()
        self._exited = False
        self._listening: list[socket.socket] = []
        self._loop.add_reader(self._ours, self._read_messages)
        self._loop.add_reader(self._output, self._read_output)

    async def launch(self, order: Order) -> Started:
        """Start the engine and return once its program runs; `watch` comes first. Raises TierError if it cannot be."""
        launch, sandbox = order.launch, order.sandbox
        content = marshal.dumps(
            {
                "argv": [str(word) for word in launch.argv],
                "env": dict(order.env),
                "cwd": _directory(order),
                "cgroup": None if order.cgroup is None else str(order.cgroup),
                "sandbox": None if sandbox is None else sandbox.as_plan(network=launch.network),
            }
        )
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # then it is gone, which is reported
            await self._loop.sock_sendall(self._ours, len(content).to_bytes(4, "big") + content)
        return await self._started

    async def gone(self) -> bool:
        """Wait until the guardian has ended, and with it every descendant. False if it was itself killed before."""
        return await asyncio.shield(self._gone)

    def hurry(self) -> None:
        """Kill the engine and every descendant now; `gone` tells when that is done."""
        with contextlib.suppress(OSError):  # not connected: it is gone already
            self._ours.shutdown(socket.SHUT_WR)

    def dismiss(self) -> None:
        """End a guardian that was never asked to launch anything; it needs a few milliseconds of this thread."""
        self._ours.close()
        os.close(self._output)
        self._process.wait()

    def read_output(self) -> None:
        """Take what the pipe holds now, for a reader that cannot wait for the event loop to do so."""
        for _ in range(_PIPE_READS):
            if not self._read_output():
                return

    def _read_output(self) -> bool:
        """One read; whether there may be more at once."""
        if self._output < 0:
            return False
        try:
            data = os.read(self._output, _READ_SIZE)
        except BlockingIOError:
            return False
        if data:
            self._on_output(data)
        else:
            self._close_output()
        return len(data) == _READ_SIZE

    def _close_output(self) -> None:
        if self._output >= 0:
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = -1

    def _read_messages(self) -> None:
        # A line is shorter than what a socket splits, and each is one write.
        try:
            text, descriptors, _, _ = socket.recv_fds(self._ours, _READ_SIZE, 1)
        except BlockingIOError:
            return
        except ConnectionResetError:
            text, descriptors = b"", []
        self._listening += [socket.socket(fileno=descriptor) for descriptor in descriptors]
        if not text:
            self._loop.remove_reader(self._ours)
            self._ours.close()
            self._reaping = self._loop.create_task(self._reap())
        for line in text.decode().splitlines():
            self._take(*line.split(" ", 2))

    def _take(self, word: str, first: str, second: str) -> None:
        match word:
            case "started":
                init, attached = second.split()
                listening = self._listening.pop() if self._listening else None
                self._settle(Started(int(first), int(init) or None, attached == "1", listening))
            case "failed":
                self._settle(TierError(f"The engine cannot be started: {second}."))
            case _:
                number = int(second)
                self._report_exit(ExitCause(code=number) if first == "exit" else ExitCause(signal=number))

    def _settle(self, outcome: Started | TierError) -> None:
        if self._started.done():  # whoever asked has left
            if isinstance(outcome, Started) and outcome.listening is not None:
                outcome.listening.close()
            return
        if isinstance(outcome, Started):
            self._started.set_result(outcome)
        else:
            self._started.set_exception(outcome)

    def _report_exit(self, cause: ExitCause) -> None:
        if not self._exited:
            self._exited = True
            self._on_exit(cause)

    async def _reap(self) -> None:
        status = await asyncio.to_thread(self._process.wait)
        self.read_output()
        self._close_output()
        self._settle(TierError("The process that guards the engine ended before it could start it."))
        # Killed before it could tell how the engine ended: the parent-death signal has killed that too.
        self._report_exit(ExitCause(signal=9))
        self._gone.set_result(status == 0)


def _directory(order: Order) -> str | None:
    """Where the engine is to run; None for where the guardian does, which is no answer in another mount namespace."""
    if order.launch.cwd is None and order.sandbox is None:
        return None
    return str(order.launch.cwd or Path.cwd())
