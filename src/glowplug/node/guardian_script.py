"""What the guardian process runs: it starts one engine, and ends everything the engine started when it or we end.

The guardian is a child subreaper (prctl(2)), so whatever the engine starts stays below it, sessions and double forks
notwithstanding. Its standard input is a socket to the server: an order comes in, three kinds of lines go out
(`started PID INIT IN_CGROUP`, `failed ERRNO TEXT`, `ended exit|signal NUMBER`), and its end, however the server came
to it, SIGKILL included, is the order to kill. Unlike a parent-death signal that also reaches grandchildren, and it does
not depend on the thread that started the engine. The engine itself has the parent-death signal too, in case the
guardian is killed.

An engine in a sandbox is not our child but that of the sandbox's first process, which is (see sandbox_init.py). INIT
is that one's number, 0 without a sandbox; a socket that it made for the server goes with that line.

A file of its own that imports little and nothing of Glowplug but what is in the folder given as its argument: it starts
in about 20 ms and stays as small as Python can be. It is single-threaded, so code between its fork and exec is safe.
"""

import ctypes
import marshal
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

sys.path.insert(0, sys.argv[1])
import sandbox_init
import seccomp

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

LIFELINE = 0
GRACE = 0.5
"""Seconds that processes left behind by an engine that ended by itself get after SIGTERM. Python's resource tracker,
which deletes shared memory of a crashed parent, needs a few milliseconds of it."""

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Guard one engine."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _libc.prctl(PR_SET_NAME, b"glowplug-guard", 0, 0, 0)
    order = _read_order()
    if order is not None:
        guard = Guard(order["cgroup"])
        if guard.start(order) and guard.wait():
            guard.end_gently()
        guard.kill_all()
    os._exit(0)


class Guard:
    """One engine, everything below it, and its cgroup if it has one."""

    def __init__(self, cgroup: str | None) -> None:
        self._cgroup = cgroup
        self._child = 0
        self._report: socket.socket | None = None
        self._told = False
        self._woken, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # The handler exists so that the signal is delivered; what counts is the byte in the pipe.
        signal.signal(signal.SIGCHLD, _take_note)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._events = select.poll()
        self._events.register(LIFELINE, select.POLLIN)
        self._events.register(self._woken, select.POLLIN)

    def start(self, order: dict[str, Any]) -> bool:
        """Start the engine and report it; whether it runs."""
        failure, told = os.pipe2(os.O_CLOEXEC)
        if order["sandbox"] is None:
            self._fork_engine(order, told)
        else:
            self._fork_sandbox(order, told)
        os.close(told)
        # The engine's end of the pipe closes with its exec, so no error to read means that the program runs.
        report = _read_while_wanted(failure)
        os.close(failure)
        if report is None:
            return False
        # From here on the pipe of the engine's output is the engine's alone, and closes with it.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        attached, _, error = report.partition(b"\n")
        if error:
            _say(f"failed {error.decode(errors='replace')}")
            return False
        if self._report is None:
            _say(f"started {self._child} 0 {attached.decode()}")
            return True
        main, sockets = _introduced(self._report)
        if not main:
            _say("failed 0 it ended at once")
            return False
        _say(f"started {main} {self._child} {attached.decode()}", sockets)
        self._events.register(self._report, select.POLLIN)
        return True

    def _fork_engine(self, order: dict[str, Any], told: int) -> None:
        guardian = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            _die_with(guardian)
            os.write(told, b"1\n" if _attach(order["cgroup"]) else b"0\n")
            _become_engine(order, told)

    def _fork_sandbox(self, order: dict[str, Any], told: int) -> None:
        try:
            sandbox_init.unshare_pids()
        except OSError as error:
            os.write(told, f"0\n{error.errno} {error.strerror}".encode())
            return
        self._report, report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._report.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        alive, ours = os.pipe2(os.O_CLOEXEC)
        self._child = os.fork()
        if self._child == 0:
            os.close(ours)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.write(told, b"1\n" if _attach(order["cgroup"]) else b"0\n")
            sandbox_init.run(
                *(order["sandbox"], alive, told, report.fileno()),
                lambda: _become_engine(order, told, sandboxed=True),
                lambda: _attach(os.path.dirname(order["cgroup"] or "")),  # noqa: PTH120
            )
        os.close(alive)
        report.close()

    def wait(self) -> bool:
        """Wait until the engine ends by itself (true) or the server wants it ended or is gone (false)."""
        while True:
            ready = {descriptor for descriptor, _ in self._events.poll()}
            if LIFELINE in ready:
                return False
            if self._report is not None and self._report.fileno() in ready:
                self._events.unregister(self._report)
                self._tell_of_end()
            if self._collect():
                return True

    def end_gently(self) -> None:
        """SIGTERM to what the engine left behind; wait until it is gone, the grace is over, or the server hurries."""
        deadline = time.monotonic() + GRACE
        for pid in _descendants():
            _signal(pid, signal.SIGTERM)
        while _has_children():
            left = deadline - time.monotonic()
            if left <= 0 or any(descriptor == LIFELINE for descriptor, _ in self._events.poll(left * 1000)):
                return
            self._collect()

    def kill_all(self) -> None:
        """Kill every descendant until none is left. One whose parent has ended becomes our child, so none gets lost."""
        while _has_children():
            if self._cgroup is not None:
                _write(f"{self._cgroup}/cgroup.kill", "1")
            for pid in _descendants():
                _signal(pid, signal.SIGKILL)
            if self._cgroup is not None:
                # In version 1 SIGKILL takes effect with the thaw.
                _write(f"{self._cgroup}/freezer.state", "THAWED")
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            self._collect()
        if self._cgroup is not None and _server_is_gone():
            _remove(self._cgroup)

    def _tell_of_end(self) -> None:
        """Hand on what the first process of the sandbox has said of the engine's end, if it has."""
        if self._report is None or self._told:
            return
        try:
            ended = self._report.recv(100, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if ended:
            _say(f"ended {ended.decode().strip()}")
            self._told = True

    def _collect(self) -> bool:
        """Collect all children that have ended; whether the engine was among them, which is reported."""
        try:
            while os.read(self._woken, 512):
                pass
        except BlockingIOError:
            pass
        engine_ended = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return engine_ended
            if pid == 0:
                return engine_ended
            if pid == self._child:
                engine_ended = True
                self._tell_of_end()
                code = os.waitstatus_to_exitcode(status)
                if not self._told:
                    _say(f"ended exit {code}" if code >= 0 else f"ended signal {-code}")


def _take_note(_number: int, _frame: object) -> None:
    """For SIGCHLD."""


def _read_order() -> dict[str, Any] | None:
    """The order, or None if the server needs no engine from us any more."""
    size = _read_exactly(4)
    content = _read_exactly(int.from_bytes(size, "big")) if size else b""
    return marshal.loads(content) if content else None  # noqa: S302 - written by our parent, the same interpreter


def _read_exactly(size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = os.read(LIFELINE, size - len(content))
        if not part:
            return b""
        content += part
    return content


def _die_with(parent: int) -> None:
    """Be killed when the parent is, also if it is gone already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _become_engine(order: dict[str, Any], told: int, *, sandboxed: bool = False) -> NoReturn:
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sandbox_init.default_signals()
        if order["cwd"] is not None:
            os.chdir(order["cwd"])
        if sandboxed:
            seccomp.hide_io_uring()
        os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        os.write(told, f"{error.errno or 0} {error.strerror}{name}".encode(errors="replace"))
    os._exit(127)


def _attach(cgroup: str | None) -> bool:
    if not cgroup:
        return False
    try:
        with open(f"{cgroup}/cgroup.procs", "w") as procs:  # noqa: PTH123
            procs.write("0")
    except OSError:
        return False
    return True


def _descendants() -> list[int]:
    """All living descendants, parents first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if fields and fields[0] not in (b"Z", b"X"):
                children.setdefault(int(fields[1]), []).append(int(name))
    found = children.get(os.getpid(), [])
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def _introduced(report: socket.socket) -> tuple[int, bytes]:
    """The engine as the kernel says that we see it, and descriptors for the server. 0 if the sandbox has ended."""
    content, ancillary, _, _ = report.recvmsg(1, 2 * socket.CMSG_SPACE(64))
    found = {kind: data for level, kind, data in ancillary if level == socket.SOL_SOCKET}
    if not content:
        return 0, b""
    return struct.unpack("3i", found[socket.SCM_CREDENTIALS])[0], found.get(socket.SCM_RIGHTS, b"")


def _read_while_wanted(pipe: int) -> bytes | None:
    """All that comes until the other end is closed; None once the server wants the engine ended or is gone."""
    events = select.poll()
    events.register(pipe, select.POLLIN)
    events.register(LIFELINE, select.POLLIN)
    content = b""
    while LIFELINE not in {descriptor for descriptor, _ in events.poll()}:
        if not (part := os.read(pipe, 4096)):
            return content
        content += part
    return None


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _signal(pid: int, number: int) -> None:
    try:  # noqa: SIM105 - contextlib would be one more import
        os.kill(pid, number)
    except OSError:
        pass


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w") as file:  # noqa: PTH123
            file.write(text)
    except OSError:
        pass


def _remove(directory: str) -> None:
    try:  # noqa: SIM105
        os.rmdir(directory)  # noqa: PTH106
    except OSError:
        pass  # the next start of the server sweeps it up


def _say(line: str, descriptors: bytes = b"") -> None:
    """A line for the server; descriptors, packed as integers, are handed over with it and closed here."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)] if descriptors else []
    lifeline = socket.socket(fileno=os.dup(LIFELINE))
    try:  # noqa: SIM105
        lifeline.sendmsg([line.encode() + b"\n"], ancillary)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server is gone; what is left to do is to end
    lifeline.close()
    for (descriptor,) in struct.iter_unpack("i", descriptors):
        os.close(descriptor)


def _server_is_gone() -> bool:
    """Whether nobody hears us. A server that lives deletes the cgroup itself, once it has read its counters."""
    hung_up = select.poll()
    hung_up.register(LIFELINE, 0)
    return any(event & select.POLLHUP for _, event in hung_up.poll(0))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
