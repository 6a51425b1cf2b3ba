"""Sockets inside another network namespace.

A socket belongs for good to the namespace that its thread was in when it was made (network_namespaces(7)). So a process
that may enter a namespace (CAP_SYS_ADMIN over both) can make a socket there, come back, and use it like any other: no
veth pair, no address, no route, no relay, and nothing that could be left behind.
"""

import ctypes
import os
import socket

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_OWN = "/proc/thread-self/ns/net"


def namespace_of(pid: int) -> int:
    """A descriptor of the network namespace of a process; it keeps the namespace alive until closed. Raises OSError."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def socket_in(namespace: int, family: int, kind: int) -> socket.socket:
    """A socket of the network namespace that the descriptor names.

    Only the calling thread is elsewhere, and only for some microseconds. Raises OSError.
    """
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(namespace)
        try:
            return socket.socket(family, kind)
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter a network namespace: {os.strerror(number)}")
