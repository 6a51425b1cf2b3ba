"""What /proc tells about processes: who descends from whom, in which state, since when."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_READ_SIZE = 4096


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """The fields of /proc/PID/stat that Glowplug uses (proc_pid_stat(5)).

    `start_time` is in clock ticks since boot: with the pid and the boot id it names one process for good.
    """

    pid: int
    state: str
    parent: int
    start_time: int

    @property
    def dead(self) -> bool:
        """Whether it has ended and only waits to be collected by its parent."""
        return self.state in "ZX"


def read_stat(pid: int) -> ProcessStat | None:
    """What the kernel says of a process, or None if there is none."""
    return _parse_stat(pid, _read(f"/proc/{pid}/stat"))


def alive(pid: int) -> bool:
    """Whether the process exists and has not ended."""
    stat = read_stat(pid)
    return stat is not None and not stat.dead


def boot_id() -> str:
    """A text that is different after every boot of this machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def thread_states(pid: int) -> list[str]:
    """State letter of every thread (`T` is stopped by a signal, `Z` is dead); empty if the process is gone."""
    stats = (_parse_stat(thread, _read(f"/proc/{pid}/task/{thread}/stat")) for thread in _threads(pid))
    return [stat.state for stat in stats if stat is not None]


def descendants(root: int) -> list[int]:
    """Pids of all children of `root`, their children and so on, parents first, without `root`; dead ones included.

    A process that is born or handed to another parent while this reads can be missed: read again.
    """
    found: list[int] = []
    seen = {root}
    level = [root]
    while level:
        born = [child for pid in level for child in children(pid) if child not in seen]
        level = list(dict.fromkeys(born))
        seen.update(level)
        found.extend(level)
    return found


def children(pid: int) -> list[int]:
    """Pids of the children of all threads of a process, dead ones included."""
    if not _HAS_CHILDREN_FILES:
        stats = (read_stat(other) for other in _all_pids())
        return [stat.pid for stat in stats if stat is not None and stat.parent == pid]
    lists = (_read(f"/proc/{pid}/task/{thread}/children") for thread in _threads(pid))
    return [int(child) for content in lists for child in content.split()]


def socket_inodes(pid: int) -> Iterator[int]:
    """Inodes of the sockets that a process holds; none if it is gone or not ours to look at."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - hot path
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115
        except OSError:
            continue
        if target.startswith("socket:["):
            yield int(target[8:-1])


def tagged(variable: str, prefix: str) -> Iterator[int]:
    """Pids of processes that were started with the environment variable set to a value that begins so.

    Only processes whose environment we may read are found: our own user's, or all for root.
    """
    wanted = f"{variable}={prefix}".encode()
    for pid in _all_pids():
        try:
            environment = (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue
        if any(entry.startswith(wanted) for entry in environment.split(b"\0")):
            yield pid


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - hot path


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - hot path
    except OSError:
        return []


def _parse_stat(pid: int, line: bytes) -> ProcessStat | None:
    # The second field is the program's name in brackets, and may itself hold spaces and brackets.
    _, bracket, rest = line.rpartition(b")")
    fields = rest.split()
    if not bracket or len(fields) < 20:
        return None
    return ProcessStat(pid, fields[0].decode(), int(fields[1]), int(fields[19]))


def _read(path: str) -> bytes:
    """The whole file, or nothing if the process is gone. Plain system calls: freezing reads hundreds of these."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        content = part = os.read(descriptor, _READ_SIZE)
        while part:
            content += (part := os.read(descriptor, _READ_SIZE))
        return content
    except OSError:
        return b""
    finally:
        os.close(descriptor)


# Kernels built without CONFIG_PROC_CHILDREN, and gVisor, lack these files; then every process has to be looked at.
_HAS_CHILDREN_FILES = Path(f"/proc/self/task/{os.getpid()}/children").exists()
