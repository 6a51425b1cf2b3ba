"""PID 1 of a sandbox: makes the namespaces, starts the engine in them or has CRIU restore it, and outlives it.

What must be private so that a process tree can be dumped, and several copies of it can live side by side on one host:
process ids, the network with its ports and abstract sockets, System V and POSIX shared memory, and /tmp. Everything
ends with this process: the kernel kills what is left in a PID namespace when its first process ends, and the other
namespaces, with their mounts and sockets, go with the last process in them.

Standard library only: a guardian runs this file without the rest of Glowplug, after a fork and single-threaded.
"""

import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NoReturn

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_SLAVE = 4096, 16384, 1 << 19

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1

_NAME_OF_INIT = b"glowplug-init"
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

_FIRST_PID = 900
_FIRST_PID_OF_HELPERS = 500
"""The last process id that counts as used when an engine starts, and when one is restored. CRIU gives every process its
old id back, so its own helpers must have others; a few hundred are far more than it needs."""

_GRACE = 0.5
"""Seconds that processes left behind by an engine get after SIGTERM, as in the guardian."""

_libc = ctypes.CDLL(None, use_errno=True)


def unshare_pids() -> None:
    """Let the next child be the first process of a new PID namespace. Raises OSError."""
    _check(_libc.unshare(CLONE_NEWPID), "a process id namespace cannot be made")


def run(
    plan: dict[str, Any],
    guardian: int,
    told: int,
    report: int,
    start_engine: Callable[[], NoReturn],
    leave_group: Callable[[], object] = lambda: None,
) -> NoReturn:
    """Be the first process of the sandbox.

    Args:
        plan: `mounts_of` (a file that names the mount namespace to begin from, or None), `visible` (pairs of a
            directory and the one below /tmp that it is seen as), `listen` (a port to listen at for the server, or
            None), `restore` (None, or `argv` of CRIU, `pid` that the engine will have, and `fill`: pairs of a directory
            and the private one that it is copied to first).
        guardian: pipe whose other end only our parent holds, and never writes to.
        told: pipe to write an error to; it is closed once the engine runs.
        report: Unix socket for packets: the engine's process and the listening socket, as ancillary data of one byte;
            at the engine's end `exit NUMBER` or `signal NUMBER`.
        start_engine: becomes the engine, in a child.
        leave_group: leaves the cgroup that the engine was born in, so that we are not frozen with it.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _libc.prctl(_PR_SET_NAME, _NAME_OF_INIT, 0, 0, 0)
    if select.select([guardian], [], [], 0)[0]:  # it ended before we asked to be killed with it
        os._exit(1)
    try:
        make_private(plan)
        listening = None if plan["listen"] is None else _listen(plan["listen"])
        restore = plan["restore"]
        if restore is None:
            _use_pids_after(_FIRST_PID)
            main = os.fork()
            if main == 0:
                os.close(report)
                start_engine()
        else:
            for source, target in restore["fill"]:
                copy_tree(source, target)
            _use_pids_after(_FIRST_PID_OF_HELPERS)
            main = _restore(restore)
        leave_group()
        _introduce(main, listening, report)
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        os.write(told, f"{error.errno or 0} {error.strerror}{name}".encode(errors="replace"))
        os._exit(1)
    os.close(told)
    _leave_output()
    os.write(report, _await(main))
    _end_the_rest()
    os._exit(0)


def default_signals() -> None:
    """What a guardian and Python ignore would stay ignored over an exec."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def copy_tree(source: str, target: str) -> None:
    """Copy directories, files with their holes, and symbolic links; owners and modes too. Raises OSError."""
    device = os.stat(source).st_dev  # noqa: PTH116
    for entry in os.scandir(source):
        made = f"{target}/{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if status.st_dev != device:
            continue  # mounted there from outside
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), made)  # noqa: PTH115, PTH211
        elif entry.is_dir(follow_symlinks=False):
            os.mkdir(made)  # noqa: PTH102
            copy_tree(entry.path, made)
        elif entry.is_file(follow_symlinks=False):
            _copy_file(entry.path, made, status.st_size)
        else:
            continue  # a socket: CRIU binds it anew; a FIFO that is open comes back as a ghost file
        os.lchown(made, status.st_uid, status.st_gid)
        if not entry.is_symlink():
            os.chmod(made, status.st_mode & 0o7777)  # noqa: PTH101


def _copy_file(source: str, target: str, size: int) -> None:
    reading = os.open(source, os.O_RDONLY)
    writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.truncate(writing, size)
        end = 0
        while end < size:
            try:
                start = os.lseek(reading, end, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole follows
                return
            end = os.lseek(reading, start, os.SEEK_HOLE)
            os.lseek(writing, start, os.SEEK_SET)
            while start < end:
                sent = os.sendfile(writing, reading, start, end - start)
                if sent == 0:  # it has become shorter
                    return
                start += sent
    finally:
        os.close(reading)
        os.close(writing)


def make_private(plan: dict[str, Any]) -> None:
    """Give this process, the first of its PID namespace, all other namespaces. Raises OSError."""
    if plan["mounts_of"] is not None:
        mounts = os.open(plan["mounts_of"], os.O_RDONLY)
        _check(_libc.setns(mounts, CLONE_NEWNS), "the mount namespace of the images cannot be entered")
        os.close(mounts)
    _check(
        _libc.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET),
        "namespaces for mounts, memory and network cannot be made",
    )
    # What the host mounts later is still seen in here; what is mounted in here is not seen by the host.
    _mount(None, "/", None, _MS_REC | _MS_SLAVE)
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _mount("tmpfs", "/dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")  # noqa: S108
    _mount_private_tmp(plan["visible"])
    _loopback_up()


def _mount_private_tmp(visible: list[tuple[str, str]]) -> None:
    kept = [(os.open(source, os.O_PATH), path) for source, path in visible]
    _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")  # noqa: S108
    for descriptor, path in kept:
        os.makedirs(path, exist_ok=True)  # noqa: PTH103
        _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)
        os.close(descriptor)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = (None if word is None else word.encode() for word in (source, target, kind))
    data = None if options is None else options.encode()
    _check(_libc.mount(*words, ctypes.c_ulong(flags), data), f"{target} cannot be mounted")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack("16xH22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))


def _listen(port: int) -> socket.socket:
    """A socket that the server is to have. It listens before there is an engine, so none finds the port closed."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", port))
    listening.listen()
    return listening


def _introduce(main: int, listening: socket.socket | None, report: int) -> None:
    """Tell who the engine is, by credentials: the kernel translates the process id for whoever receives them."""
    credentials = struct.pack("3i", main, os.getuid(), os.getgid())
    ancillary: list[tuple[int, int, bytes]] = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)]
    if listening is not None:
        ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", listening.fileno())))
    with socket.socket(fileno=os.dup(report)) as packets:
        packets.sendmsg([b"m"], ancillary)
    if listening is not None:
        listening.close()


def _use_pids_after(pid: int) -> None:
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:  # noqa: PTH123
        last.write(str(pid))


def _restore(restore: dict[str, Any]) -> int:
    """Run CRIU, which hands its detached children to us as the first process; the engine's id."""
    criu = os.fork()
    if criu == 0:
        default_signals()  # CRIU ends its own helpers by SIGTERM
        try:
            os.execv(restore["argv"][0], restore["argv"])  # noqa: S606
        except OSError as error:
            os.write(2, f"CRIU cannot be started: {error.strerror}\n".encode())
        os._exit(127)
    main = int(restore["pid"])
    ended_at_once = False
    while True:
        pid, status = os.wait()
        ended_at_once = ended_at_once or pid == main
        if pid == criu:
            if status != 0:
                raise OSError(0, "CRIU did not restore the image")
            if ended_at_once:
                raise OSError(0, "the restored engine ended at once")
            return main


def _leave_output() -> None:
    """From here on the pipe of the engine's output is the engine's alone, and closes with it."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _await(main: int) -> bytes:
    """Collect what ends, until the engine does; how it ended."""
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return b"signal 9\n"
        if pid == main:
            code = os.waitstatus_to_exitcode(status)
            return b"exit %d\n" % code if code >= 0 else b"signal %d\n" % -code


def _end_the_rest() -> None:
    """SIGTERM to what the engine left behind, and wait for its end a little. Our own end kills what remains."""
    deadline = time.monotonic() + _GRACE
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        os.kill(-1, signal.SIGTERM)
        while (left := deadline - time.monotonic()) > 0:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            signal.sigtimedwait({signal.SIGCHLD}, left)
    except (ChildProcessError, ProcessLookupError):
        return


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
