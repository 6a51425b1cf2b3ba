"""Which TCP ports processes listen on, out of /proc (proc_net_tcp(5), proc_pid_fd(5))."""

import os
from collections.abc import Iterable
from pathlib import Path

_LISTEN = "0A"
_LOOPBACK = frozenset({"0100007F", "7F000001", "00000000000000000000000001000000", "00000000000000000000000000000001"})
"""127.0.0.1 and ::1 as the kernel writes them: as words in the byte order of the machine, either of which there is."""


def listening_ports(pids: Iterable[int]) -> list[int]:
    """Ports on which the processes listen, in numerical order, where this machine can reach them over loopback.

    Processes of other users, whose descriptors we may not see, are left out.
    """
    sockets = _listening_sockets()
    return sorted({sockets[inode] for pid in pids for inode in _socket_inodes(pid) if inode in sockets})


def _listening_sockets() -> dict[str, int]:
    """Port by inode."""
    found: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
            address, _, port = local.partition(":")
            if state == _LISTEN and _reached_over_loopback(address):
                found[inode] = int(port, 16)
    return found


def _reached_over_loopback(address: str) -> bool:
    """Whether it is 127.0.0.1, ::1, or a wildcard."""
    return set(address) == {"0"} or address in _LOOPBACK


def _socket_inodes(pid: int) -> Iterable[str]:
    directory = f"/proc/{pid}/fd"
    try:
        names = os.listdir(directory)  # noqa: PTH208
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(f"{directory}/{name}")  # noqa: PTH115
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]
