"""What one process has used so far, out of /proc: processor time, disk traffic, memory.

Sources: proc_pid_stat(5), proc_pid_io(5), proc_pid_statm(5).
"""

import mmap
import os
from dataclasses import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = mmap.PAGESIZE
_READ_SIZE = 4096  # each of the files is far smaller


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Counters of one process since its start.

    Attributes:
        pid, parent, name: of the process; `name` is the first 15 bytes of its program's name.
        started: seconds after boot, in steps of a clock tick (10 ms).
        cpu: seconds of one core, of the process itself.
        inherited_cpu: the same of children that ended and were collected by it, and of those that they had collected.
        read, written: bytes that really came from, or were meant for, a disk; what the page cache answered does not
            count. Children that were collected are in it. None if the kernel does not let us look.
        private: bytes of memory that only this process has.
        shared: bytes of its memory that belong to files or to memory shared between processes.
    """

    pid: int
    parent: int
    name: str
    started: float
    cpu: float
    inherited_cpu: float
    read: int | None
    written: int | None
    private: int
    shared: int


def read_usage(pid: int) -> ProcessUsage | None:
    """What a process has used; None if there is no such process. One that waits to be collected still tells."""
    # The name in brackets may itself hold spaces and brackets; what follows it is numbered from field 3.
    head, bracket, rest = _read(f"/proc/{pid}/stat").rpartition(b")")
    fields = rest.split()
    if not bracket or len(fields) < 20:
        return None
    read, written = _traffic(_read(f"/proc/{pid}/io"))
    resident, shared = _memory(_read(f"/proc/{pid}/statm"))
    return ProcessUsage(
        pid=pid,
        parent=int(fields[1]),
        name=head.partition(b"(")[2].decode(errors="replace"),
        started=int(fields[19]) / _TICKS,
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
        inherited_cpu=(int(fields[13]) + int(fields[14])) / _TICKS,
        read=read,
        written=written,
        private=max(0, resident - shared) * _PAGE,
        shared=shared * _PAGE,
    )


def read_parent(pid: int) -> int | None:
    """The parent of a process; None if there is no such process."""
    _, bracket, rest = _read(f"/proc/{pid}/stat").rpartition(b")")
    return int(rest.split(None, 2)[1]) if bracket else None


def read_command(pid: int) -> str:
    """The command line of a process as it is now, its beginning if it is long; empty if there is none."""
    return _read(f"/proc/{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def _traffic(content: bytes) -> tuple[int | None, int | None]:
    read = written = None
    for line in content.splitlines():
        if line.startswith(b"read_bytes:"):
            read = int(line[11:])
        elif line.startswith(b"write_bytes:"):
            written = int(line[12:])
    return read, written


def _memory(content: bytes) -> tuple[int, int]:
    """Pages that are resident, and those of them that are shared."""
    fields = content.split(None, 3)
    return (int(fields[1]), int(fields[2])) if len(fields) > 2 else (0, 0)


def _read(path: str) -> bytes:
    """The whole file, or nothing if it is gone or closed to us. Plain system calls: this runs ten times a second."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _READ_SIZE)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
