"""Connections to all engines, kept open for a moment between requests. An engine's address is `http://HOST:PORT`."""

import asyncio
import errno
from collections.abc import Iterable
from urllib.parse import urlsplit

from glowplug.cluster.base import ReplicaLost
from glowplug.gateway.engine_connection import EngineConnection
from glowplug.gateway.errors import ApiError
from glowplug.gateway.headers import Header

# uvicorn and cpp-httplib, under most engines, close connections that were idle for 5 s. Ours must be gone earlier, or a
# request now and then meets a connection that is just being closed. And a replica that is parked or snapshotted should
# hold none.
_IDLE_SECONDS = 2.0
_CONNECT_SECONDS = 10.0
# Not the engine's fault.
_OUT_OF_FILES = frozenset((errno.EMFILE, errno.ENFILE))
# Methods whose requests state that their body is empty (RFC 9110, section 8.6).
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))


class EnginePool:
    """Idle connections by the engine's base URL. Belongs to one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: dict[str, list[EngineConnection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def ask(
        self, address: str, method: str, target: bytes, headers: Iterable[Header], body: bytes
    ) -> EngineConnection:
        """Send a request and wait for the head of the answer. The caller owns the connection until `give_back`.

        An idle connection that turns out to be closed is replaced by a fresh one, and nobody blamed: engines close idle
        connections when they like. If it was the request that made the engine fall, the fresh one tells.

        Raises:
            ReplicaLost: the engine cannot be reached, or went away before it answered.
            InvalidAnswer: it does not speak HTTP.
            ApiError: 503, this process may open no more connections.
        """
        head = _head(address, method, target, headers, body)
        head_only = method == "HEAD"
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if connection.reusable:
                try:
                    await self._ask(connection, head, body, head_only)
                except ReplicaLost:
                    if not connection.untouched:
                        raise
                    break
                return connection
        connection = await self._connect(address)
        await self._ask(connection, head, body, head_only)
        return connection

    def give_back(self, address: str, connection: EngineConnection) -> None:
        """Keep the connection for a next request, or close it if its answer was not read to the end."""
        if not (connection.complete and connection.reusable):
            connection.close()
            return
        connection.idle_since = self._loop.time()
        self._idle.setdefault(address, []).append(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(_IDLE_SECONDS, self._expire)

    def close(self) -> None:
        """Close all idle connections."""
        if self._timer is not None:
            self._timer.cancel()
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    @staticmethod
    async def _ask(connection: EngineConnection, head: bytes, body: bytes, head_only: bool) -> None:
        try:
            await connection.ask(head, body, head_only=head_only)
        except BaseException:
            connection.close()
            raise

    async def _connect(self, address: str) -> EngineConnection:
        parts = urlsplit(address)
        host = parts.hostname or "127.0.0.1"
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await self._loop.create_connection(
                    lambda: EngineConnection(self._loop), host, parts.port or 80
                )
        except TimeoutError:
            raise ReplicaLost(f"the engine did not accept a connection within {_CONNECT_SECONDS:g} s") from None
        except OSError as error:
            if error.errno in _OUT_OF_FILES:
                message = "The server has too many connections open; raise its limit of open files (ulimit -n)."
                raise ApiError(503, "too_many_connections", message) from error
            raise ReplicaLost(f"the engine cannot be reached ({error.strerror})") from None
        return connection

    def _expire(self) -> None:
        """Close what has been idle for long enough; the oldest connections are at the front."""
        self._timer = None
        now = self._loop.time()
        for address, connections in list(self._idle.items()):
            fresh = [connection for connection in connections if connection.idle_since + _IDLE_SECONDS > now]
            for connection in connections[: len(connections) - len(fresh)]:
                connection.close()
            if fresh:
                self._idle[address] = fresh
            else:
                del self._idle[address]
        if self._idle:
            oldest = min(connections[0].idle_since for connections in self._idle.values())
            self._timer = self._loop.call_at(oldest + _IDLE_SECONDS, self._expire)


def _head(address: str, method: str, target: bytes, headers: Iterable[Header], body: bytes) -> bytes:
    """Request line and headers, with the length of `body`. `headers` come from a parser: no line end is in them."""
    parts = [method.encode(), b" ", target, b" HTTP/1.1\r\nhost: ", address[7:].encode(), b"\r\n"]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    if body or method in _WITH_BODY:
        parts.append(b"content-length: %d\r\n" % len(body))
    parts.append(b"\r\n")
    return b"".join(parts)
