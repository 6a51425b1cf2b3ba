"""Ports on 127.0.0.1 for engines, which open them by themselves after they were told the number.

Between the choice and the engine's `bind` anybody could take the port; no placeholder of ours can prevent it, because
a bound socket of ours would stand in the way of engines that set no SO_REUSEADDR. What makes it unlikely enough:

- the range lies outside the ports that the kernel gives away by itself (net.ipv4.ip_local_port_range);
- a port is tried by binding it, without SO_REUSEADDR, so neither a listener nor a connection in TIME_WAIT holds it;
- ports in use by this or another Glowplug are marked by an abstract Unix socket of that name, which only one process of
  a network namespace can have and which the kernel takes back when the process ends, however it ends;
- numbers are handed out in a circle from a random start, so one that was given back rests before it is used again.

When an engine still ends because its port was taken, `taken` tells it, and the node starts it once more elsewhere.
"""

import errno
import random
import socket


class NoPort(Exception):
    """Every port of the range is in use. The text is one sentence for the user, with the remedy."""


class PortPool:
    """Hands out the ports `first` to `last`."""

    def __init__(self, first: int, last: int) -> None:
        self._ports = range(first, last + 1)
        self._next = random.randrange(len(self._ports))  # noqa: S311 - spreads load, hides nothing
        self._marks: dict[int, socket.socket] = {}

    def take(self) -> int:
        """A port that nobody uses; it is ours until `give_back`. Raises NoPort."""
        for _ in self._ports:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            if port not in self._marks and (mark := _mark(port)) is not None:
                if _can_bind(port, reuse=False):
                    self._marks[port] = mark
                    return port
                mark.close()
        first, last = self._ports[0], self._ports[-1]
        raise NoPort(f"No port between {first} and {last} is free on 127.0.0.1; widen node.engine_ports.")

    def give_back(self, port: int) -> None:
        """The engine on this port has ended. A port that was not taken is ignored."""
        if mark := self._marks.pop(port, None):
            mark.close()


def taken(port: int) -> bool:
    """Whether somebody listens on the port of 127.0.0.1, ended connections not counted."""
    return not _can_bind(port, reuse=True)


def _mark(port: int) -> socket.socket | None:
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        mark.bind(f"\0glowplug-engine-port-{port}")
    except OSError:
        mark.close()
        return None
    return mark


def _can_bind(port: int, *, reuse: bool) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        if reuse:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True
