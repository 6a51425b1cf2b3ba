"""Writing an answer on a client's connection.

It takes the place of uvicorn's `send` for proxied requests: head and first part leave in one write, which saves a
system call and a packet per request, and what an engine's parser has already checked is not checked again. Together
that is a quarter of the gateway's CPU time.
"""

import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from glowplug.gateway.headers import Header
from glowplug.gateway.protocol import ClientConnection

# Answers without a body, whatever their headers say (RFC 9110, sections 15.3.5 and 15.4.5).
_BODILESS = frozenset((204, 304))


class ResponseWriter:
    """One answer: `start`, any number of `write`, then `end` or `break_off`."""

    __slots__ = ("_chunked", "_connection", "_cycle", "_head", "_http_1_0", "_method")

    def __init__(self, connection: ClientConnection, cycle: Any, scope: Any) -> None:
        self._connection = connection
        self._cycle = cycle
        self._method: str = scope["method"]
        self._http_1_0: bool = scope["http_version"] == "1.0"
        self._chunked = False
        self._head = b""

    @property
    def _deaf(self) -> bool:
        """Whether the client left, or was turned away."""
        return self._connection.lost or self._cycle.disconnected

    def start(self, status: int, headers: list[Header]) -> None:
        """Prepare the head; it leaves with the first part of the body, or with `flush`. Names are in lower case."""
        cycle = self._cycle
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        parts = [STATUS_LINE.get(status) or b"HTTP/1.1 %d\r\n" % status]
        framed = status in _BODILESS or self._method == "HEAD"
        for name, value in (*cycle.default_headers, *headers):
            if name == b"content-length":
                if status in _BODILESS:
                    continue
                framed = True
            parts += (name, b": ", value, b"\r\n")
        if not framed:
            if self._http_1_0:
                cycle.keep_alive = False  # there, only its end can say where a body without a length ends
            else:
                self._chunked = True
                parts.append(b"transfer-encoding: chunked\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        self._head = b"".join(parts)

    def flush(self) -> None:
        """Send the head now; more may take a while."""
        if self._head and not self._deaf:
            self._connection.transport.write(self._head)
            self._head = b""

    async def write(self, data: bytes) -> None:
        """Send a part of the body, which is not empty, once the client has read enough of what came before."""
        connection = self._connection
        if connection.flow.write_paused:
            await connection.flow.drain()
        if self._deaf:
            return
        if self._chunked:
            data = b"%b%x\r\n%b\r\n" % (self._head, len(data), data)
        elif self._head:
            data = self._head + data
        self._head = b""
        connection.transport.write(data)

    async def end(self, data: bytes) -> None:
        """Send the last part, which may be empty."""
        connection, cycle = self._connection, self._cycle
        if connection.flow.write_paused:
            await connection.flow.drain()
        if self._deaf:
            return
        if self._method == "HEAD":
            data = b""
        if not self._chunked:
            data = self._head + data
        elif data:
            data = b"%b%x\r\n%b\r\n0\r\n\r\n" % (self._head, len(data), data)
        else:
            data = self._head + b"0\r\n\r\n"
        self._head = b""
        if data:
            connection.transport.write(data)
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            connection.transport.close()
        cycle.on_response()

    def break_off(self) -> None:
        """End the answer so that the client can tell that it is not complete."""
        if self._deaf:
            return
        self.flush()
        self._cycle.disconnected = True
        transport = self._connection.transport
        if self._http_1_0:
            # A proper close would look like a proper end, so the connection is reset.
            transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
