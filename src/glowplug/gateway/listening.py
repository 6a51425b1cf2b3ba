"""The listening socket, made before anything else starts, so that a port that is taken costs nothing."""

import errno
import socket

BACKLOG = 4096


class CannotListen(Exception):
    """The address cannot be listened on. The text is one sentence with the remedy."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host`:`port`; port 0 picks a free one.

    Raises:
        CannotListen: the port is taken or not allowed, or the host is not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Inherited by connections: finds clients that vanished without a word while their request was held.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CannotListen(_explain(error, host, port)) from error
    return listener


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use by another program; "
            "stop that program, or choose another port with --port or server.port."
        )
    if error.errno == errno.EACCES:
        return (
            f"Port {port} on {host} needs more rights than this process has; "
            "choose a port above 1023 with --port or server.port."
        )
    return (
        f"The address {host} cannot be listened on ({error.strerror}); "
        "choose an address of this machine with --host or server.host, such as 127.0.0.1."
    )


def url_of(listener: socket.socket) -> str:
    """The URL that a client on this machine uses."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  (told apart here, not listened on)
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
