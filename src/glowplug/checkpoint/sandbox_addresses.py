"""Addresses of engines that have a network of their own, and the sockets that reach them.

Each sandbox gets an address of 127.64.0.0/10 that means something in this process only: a socket for it is made inside
the network namespace of the sandbox, where the whole of 127.0.0.0/8 leads to the engine. HTTP clients take `socket_for`
as their socket factory and need to know nothing else. An address that is not open leads nowhere: on this host,
something else may listen on all of 127.0.0.0/8.
"""

import errno
import itertools
import os
import random
import socket

from glowplug.checkpoint import netns

_FIRST = 127 << 24 | 64 << 16
_BITS = 22
_COUNT = 1 << _BITS
_numbers = itertools.count(random.randrange(_COUNT))  # noqa: S311 - so that an address is not soon used again
_namespaces: dict[str, int] = {}

NOWHERE = "127.64.0.0"
"""The address of a sandbox that has ended already."""


def open_address(pid: int) -> str:
    """An address for the network namespace of a process, usable until `close_address`. Raises OSError."""
    namespace = netns.namespace_of(pid)
    address = socket.inet_ntoa((_FIRST + 1 + next(_numbers) % (_COUNT - 1)).to_bytes(4, "big"))
    _namespaces[address] = namespace
    return address


def close_address(address: str) -> None:
    """The sandbox is gone. Connections that are still open keep its network until they are closed."""
    if (namespace := _namespaces.pop(address, None)) is not None:
        os.close(namespace)


def socket_for(target: "tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]") -> socket.socket:
    """An unconnected socket that reaches a result of getaddrinfo.

    Raises OSError, ConnectionRefusedError if the address is that of a sandbox that is gone.
    """
    family, kind, protocol, _, (host, *_) = target
    if (namespace := _namespaces.get(host)) is not None:
        return netns.socket_in(namespace, family, kind)
    if family == socket.AF_INET and _is_ours(host):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "the sandbox is gone")
    return socket.socket(family, kind, protocol)


def _is_ours(host: str) -> bool:
    return int.from_bytes(socket.inet_aton(host), "big") >> _BITS == _FIRST >> _BITS
