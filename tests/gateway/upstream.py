"""A real engine on a real socket that does, byte for byte, what a test tells it to."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A complete answer with a content length."""
    lines = [b"HTTP/1.1 " + status, *headers, b"content-length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*parts: bytes) -> bytes:
    """Chunks of chunked transfer coding, without the last one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part)


@dataclass
class Received:
    """One request as it arrived. `headers` have their names in lower case."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def method(self) -> bytes:
        return self.line.split(b" ")[0]

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: bytes) -> bytes | None:
        values = self.all(name)
        assert len(values) <= 1
        return values[0] if values else None


Handler = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """Answers every request with `handler`; a handler that closes the writer ends the connection."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.arrived = asyncio.Semaphore(0)
        self.connections = 0
        self.disconnected = asyncio.Semaphore(0)
        self.handler: Handler = self.reply(answer(b'{"ok":true}', b"content-type: application/json"))
        self._tasks: set[asyncio.Task[None]] = set()

    @staticmethod
    def reply(data: bytes) -> Handler:
        """A handler that writes `data`."""

        async def write(request: Received, writer: asyncio.StreamWriter) -> None:
            writer.write(data)

        return write

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**20)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (request := await read_request(reader)) is not None:
                self.received.append(request)
                self.arrived.release()
                watch = asyncio.create_task(self._watch(reader, request))
                try:
                    await self.handler(request, writer)
                    await writer.drain()
                finally:
                    watch.cancel()
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            self.disconnected.release()
            writer.close()

    async def _watch(self, reader: asyncio.StreamReader, request: Received) -> None:
        """Notice that the gateway closed the connection while the handler is at work."""
        # Not `read`, which would take bytes of a next request.
        while not reader.at_eof():
            try:
                await reader._wait_for_data("watch")  # type: ignore[attr-defined]
            except ConnectionError:
                break
            if reader._buffer:  # type: ignore[attr-defined]
                return
        request.closed.set()


async def read_request(reader: asyncio.StreamReader) -> Received | None:
    """The next request on a connection, or None at its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *rest = head[:-4].split(b"\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (item.partition(b":") for item in rest)]
    known = dict(headers)
    if b"chunked" in known.get(b"transfer-encoding", b""):
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(known.get(b"content-length", b"0")))
    return Received(line, headers, body)
