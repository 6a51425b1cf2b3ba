"""TCP connections that lead out of a sandbox. An image must hold none: the other end knows nothing of a restore."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from glowplug.checkpoint import processes

_ESTABLISHED = b"01"
_MAPPED = b"0000000000000000FFFF0000"
"""What an IPv4 address has in front in /proc/net/tcp6 (RFC 4291 2.5.5.2, in words of the machine's byte order)."""

_End = tuple[bytes, bytes]


class StillConnected(Exception):
    """A connection leads out. The text is one sentence."""


def require_none_outside(init: int, pids: Iterable[int]) -> None:
    """Every established connection of the processes must lead to one of them. Blocks for a few milliseconds.

    Args:
        init: a process in their network namespace.
        pids: all of them, as this machine numbers them.

    Raises:
        StillConnected: one leads elsewhere.
        OSError: `init` is gone.
    """
    own = {inode for pid in pids for inode in processes.socket_inodes(pid)}
    connections = dict(_established(init))
    held = {ends for ends, inode in connections.items() if inode in own}
    for local, remote in held:
        # A connection that nobody has accepted yet belongs to nobody, but it is a listening socket's.
        if connections.get((remote, local)) not in own | {0}:
            raise StillConnected(f"The engine has a connection to {_text(remote)} that leads out of its sandbox.")


def _established(pid: int) -> Iterator[tuple[tuple[_End, _End], int]]:
    """Both ends and the inode of the socket; see proc_pid_net(5)."""
    for name in ("tcp", "tcp6"):
        table = Path(f"/proc/{pid}/net/{name}")
        if name == "tcp6" and not table.exists():  # the kernel has no IPv6
            continue
        for line in table.read_bytes().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _ESTABLISHED:
                yield (_end(fields[1]), _end(fields[2])), int(fields[9])


def _end(text: bytes) -> _End:
    address, _, port = text.partition(b":")
    return address.removeprefix(_MAPPED), port


def _text(end: _End) -> str:
    address, port = end
    if len(address) == 8:
        parts = int(address, 16).to_bytes(4, "little")
        return f"{'.'.join(map(str, parts))}:{int(port, 16)}"
    return f"port {int(port, 16)}"
