"""One HTTP/1.1 connection: parses requests, hands each to a handler, writes whole answers and chunked streams.

A hand-written protocol on httptools: an idle stream costs a few kilobytes and a small answer tens of microseconds.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs

import httptools

Header = tuple[bytes, bytes]

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_MOST_PIPELINED = 16


@dataclass(slots=True)
class Request:
    """A request that has arrived whole. `received` counts body bytes, also those of a body that is not kept."""

    method: str = ""
    target: bytes = b""
    headers: list[Header] = field(default_factory=lambda: list[Header]())
    chunks: list[bytes] = field(default_factory=lambda: list[bytes]())
    received: int = 0
    keep_alive: bool = True
    read_rate: float | None = None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition(b"?")[0].decode("latin-1")

    @property
    def body(self) -> bytes:
        """All of the body."""
        return b"".join(self.chunks)

    def header(self, name: bytes) -> bytes:
        """The first header with this lower-case name, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name), b"")

    def number(self, name: str, default: int) -> int:
        """A whole number from the query."""
        query = parse_qs(self.target.partition(b"?")[2].decode("latin-1"))
        return int(query[name][0]) if name in query else default


Handler = Callable[[Request, "Connection"], bytes | Awaitable[None]]
"""Answers a request: with the bytes of a whole answer, or with a coroutine that writes to the connection."""


def answer(
    body: bytes, status: int = 200, content_type: bytes = b"application/json", headers: Sequence[Header] = ()
) -> bytes:
    """The bytes of a whole answer."""
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    reason = _REASONS.get(status, "Fake").encode()
    return b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n%s\r\n%s" % (
        status, reason, content_type, len(body), lines, body
    )  # fmt: skip


class Connection(asyncio.Protocol):
    """Server side of one connection. Requests are answered one after the other."""

    __slots__ = ("_busy", "_handler", "_lost", "_parser", "_request", "_task", "_transport", "_waiting", "_writable")

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._waiting: deque[Request] = deque()
        self._busy = False
        self._lost = False
        self._task: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    # What handlers use

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._transport.write(data)

    def start_stream(self, content_type: bytes = b"text/event-stream; charset=utf-8") -> None:
        """Send the head of a chunked answer."""
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
        self._transport.write(head % content_type)

    def write_chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked answer."""
        self._transport.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end_stream(self) -> None:
        """Send the end of a chunked answer."""
        self._transport.write(b"0\r\n\r\n")

    async def drain(self) -> None:
        """Wait while the client reads more slowly than we write."""
        if self._writable is not None:
            await self._writable

    async def flush(self) -> None:
        """Wait until what was written has gone out, as far as the client reads: uvloop sends once per iteration."""
        await self.drain()
        await asyncio.sleep(0)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(answer(b'{"error": {"message": "this is not HTTP"}}', 400))
            self._transport.close()
            return
        if self._request.read_rate is not None:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(len(data) / self._request.read_rate, self._read_on)

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._request = Request()

    def on_url(self, url: bytes) -> None:
        self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers.append((name, value))

    def on_headers_complete(self) -> None:
        request = self._request
        request.method = self._parser.get_method().decode()
        if request.target.startswith(b"/fake/slow-read"):
            request.read_rate = float(request.number("bytes_per_second", 65536))
        if request.header(b"expect").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._request.received += len(body)
        if self._request.read_rate is None:
            self._request.chunks.append(body)

    def on_message_complete(self) -> None:
        self._request.keep_alive = self._parser.should_keep_alive()
        self._waiting.append(self._request)
        if len(self._waiting) >= _MOST_PIPELINED:
            self._transport.pause_reading()
        if not self._busy:
            self._answer_waiting()

    # One request after the other

    def _answer_waiting(self) -> None:
        while self._waiting and not self._lost:
            request = self._waiting.popleft()
            work = self._handler(request, self)
            if isinstance(work, bytes):
                self._transport.write(work)
                self._after(request)
            else:
                self._busy = True
                self._task = asyncio.ensure_future(self._run(work, request))
                return

    async def _run(self, work: Awaitable[None], request: Request) -> None:
        await work
        self._busy = False
        self._task = None
        self._after(request)
        self._read_on()
        self._answer_waiting()

    def _after(self, request: Request) -> None:
        if not request.keep_alive:
            self._transport.close()

    def _read_on(self) -> None:
        if not self._lost:
            self._transport.resume_reading()
