"""Which TCP ports processes listen on, out of /proc (proc_net_tcp(5), proc_pid_fd(5))."""

from collections.abc import Iterable
from pathlib import Path

from glowplug.checkpoint import processes

_LISTEN = "0A"
_LOOPBACK = frozenset({"0100007F", "7F000001", "00000000000000000000000001000000", "00000000000000000000000000000001"})
"""127.0.0.1 and ::1 as the kernel writes them: as words in the byte order of the machine, either of which there is."""


def listening_ports(pids: Iterable[int]) -> list[int]:
    """Ports on which the processes listen, in numerical order, where this machine can reach them over loopback.

    Processes of other users, whose descriptors we may not see, are left out.
    """
    sockets = _listening_sockets()
    return sorted({sockets[inode] for pid in pids for inode in processes.socket_inodes(pid) if inode in sockets})


def _listening_sockets() -> dict[int, int]:
    """Port by inode."""
    found: dict[int, int] = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
            address, _, port = local.partition(":")
            if state == _LISTEN and _reached_over_loopback(address):
                found[int(inode)] = int(port, 16)
    return found


def _reached_over_loopback(address: str) -> bool:
    """Whether it is 127.0.0.1, ::1, or a wildcard."""
    return set(address) == {"0"} or address in _LOOPBACK
