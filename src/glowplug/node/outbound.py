"""The way out of a sandbox: an HTTP proxy of ours that listens in there, for engines that may reach other machines.

The namespace of a sandbox has nothing but a loopback, so that connections lead out only through here, and can all be
closed before the engine is dumped. It knows CONNECT and requests with a whole URL (RFC 9110 9.3.6, RFC 9112 3.2.2),
one per connection, and no other protocol.
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from dataclasses import dataclass

from glowplug.checkpoint import netns
from glowplug.checkpoint.sandbox import PROXY_PORT
from glowplug.engines.base import LOOPBACK
from glowplug.node.destinations import allowed
from glowplug.node.proxy_heads import BadHead, Head, forwarded_answer, parse_request, refusal

log = logging.getLogger(__name__)

_MAX_HEAD = 64 * 1024
_PIECE = 64 * 1024
_MOST = 256
"""Connections per sandbox, so that an engine that leaks them does not take all descriptors of the server."""

_HEAD_TIMEOUT = 30.0
_CONNECT_TIMEOUT = 10.0
_LINGER = 2.0
_RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends a reset and leaves no trace of the connection at either end (socket(7))."""


class Outbound:
    """The proxy of one sandbox. For one event loop."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self, listening: socket.socket) -> None:
        """Serve a socket that listens in the sandbox. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=_MAX_HEAD)

    async def reopen(self, init: int) -> None:
        """Listen anew in the sandbox with this first process. Raises OSError, FileNotFoundError if it is gone."""
        namespace = netns.namespace_of(init)
        try:
            listening = netns.socket_in(namespace, socket.AF_INET, socket.SOCK_STREAM)
        finally:
            os.close(namespace)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((LOOPBACK, PROXY_PORT))
            listening.listen()
            await self.open(listening)
        except OSError:
            listening.close()
            raise

    def close(self) -> None:
        """Refuse what comes, and reset all that is open, at once."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task, writer in self._open.items():
            task.cancel()
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._server is None:
            _reset(writer)
            return
        self._open[task] = writer
        try:
            if len(self._open) > _MOST:
                await _say(writer, refusal(503, "Too many connections are open."))
            else:
                await _answer(reader, writer)
            await _linger(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one of both has left, or `close` ends this; asyncio's streams of Python 3.11 log what is cancelled
        finally:
            del self._open[task]
            writer.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(_HEAD_TIMEOUT):
            head = parse_request(await reader.readuntil(b"\r\n\r\n"))
    except (BadHead, asyncio.LimitOverrunError) as error:
        await _say(writer, refusal(400, str(error) if isinstance(error, BadHead) else "The head is too large."))
        return
    try:
        upstream = await _connect(head.host, head.port)
    except _Refused as error:
        await _say(writer, refusal(error.status, error.reason))
        return
    try:
        if head.forward is None:
            await _say(writer, b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, upstream.writer))
                both.create_task(_pass(upstream.reader, writer))
        else:
            await _forward(head, head.forward, reader, writer, upstream)
    except* (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        upstream.writer.close()


async def _forward(
    head: Head, content: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: "_Peer"
) -> None:
    """One request and its answer. The client is told to close, or its next request would go to the same place."""
    upstream.writer.write(content)
    async with asyncio.TaskGroup() as both:
        body = both.create_task(_pass(reader, upstream.writer, head.body))
        try:
            last = False
            while not last:
                answer, last = forwarded_answer(await upstream.reader.readuntil(b"\r\n\r\n"))
                writer.write(answer)
        except (BadHead, asyncio.LimitOverrunError):
            await _say(writer, refusal(502, "The answer cannot be read."))
        else:
            await _pass(upstream.reader, writer)
        body.cancel()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None = None) -> None:
    """Hand on `most` bytes, or all that comes and then the end."""
    left = most
    while left is None or left > 0:
        data = await reader.read(_PIECE if left is None else min(_PIECE, left))
        if not data:
            break
        writer.write(data)
        await writer.drain()
        if left is not None:
            left -= len(data)
    if most is None:
        writer.write_eof()


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait a little for the client's end. Closing on what it still sends would reset what it has not read yet."""
    writer.write_eof()
    async with asyncio.timeout(_LINGER):
        while await reader.read(_PIECE):
            pass


async def _say(writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(content)
    await writer.drain()


class _Refused(Exception):
    """There is no connection to where the engine wants to go."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Peer:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def _connect(host: str, port: int) -> _Peer:
    """Connect to an address that was checked, not to a name that may mean another one the next time."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _Refused(502, f"{host} is not known.") from error
    addresses = [address for _, _, _, _, (address, *_) in found if allowed(str(address))]
    if not addresses:
        log.warning("An engine in a sandbox wanted to connect to %s, which is refused", host)
        raise _Refused(403, f"{host} is this machine itself or a service of its cloud, which engines may not reach.")
    reason = "no answer in time"
    for address in addresses:
        with contextlib.suppress(TimeoutError):
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    return _Peer(*await asyncio.open_connection(str(address), port, limit=_MAX_HEAD))
            except TimeoutError:
                reason = "no answer in time"
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
    raise _Refused(502, f"{host} cannot be reached: {reason}.")


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it is closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
