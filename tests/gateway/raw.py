"""A client that sends exactly the bytes it is given and shows exactly the bytes that come back."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

WAIT = 10.0


def post(body: bytes, *headers: bytes, path: bytes = b"/v1/chat/completions") -> bytes:
    """A whole POST request."""
    lines = [b"POST %b HTTP/1.1" % path, b"host: gateway", *headers, b"content-length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


CHAT = b'{"model":"m","messages":[]}'
STREAM = b'{"model":"m","messages":[],"stream":true}'


@dataclass
class RawAnswer:
    """`complete` is False if the connection broke before the body's own end."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    complete: bool

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: bytes) -> bytes | None:
        values = self.all(name)
        assert len(values) <= 1, values
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, host: str, port: int, limit: int = 2**20) -> "RawClient":
        return cls(*await asyncio.open_connection(host, port, limit=limit))

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        """Leave at once, with a reset if anything is unread."""
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), WAIT)

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT)
        line, *rest = head[:-4].split(b"\r\n")
        headers = [(name, value.strip()) for name, _, value in (item.partition(b":") for item in rest)]
        return int(line.split(b" ")[1]), headers

    async def chunk(self) -> bytes:
        """The next chunk of chunked transfer coding; empty at the end."""
        size = int(await asyncio.wait_for(self.reader.readline(), WAIT), 16)
        data = await asyncio.wait_for(self.reader.readexactly(size + 2), WAIT)
        return data[:-2]

    async def answer(self, *, method: str = "POST") -> RawAnswer:
        """A whole answer."""
        status, headers = await self.head()
        known = dict(headers)
        if method == "HEAD" or status in (204, 304):
            return RawAnswer(status, headers, b"", True)
        body = b""
        try:
            if known.get(b"transfer-encoding") == b"chunked":
                while part := await self.chunk():
                    body += part
            else:
                size = int(known[b"content-length"])
                while len(body) < size:
                    part = await asyncio.wait_for(self.reader.read(size - len(body)), WAIT)
                    if not part:
                        return RawAnswer(status, headers, body, False)
                    body += part
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return RawAnswer(status, headers, body, False)
        return RawAnswer(status, headers, body, True)

    async def ask(self, data: bytes) -> RawAnswer:
        await self.send(data)
        return await self.answer()

    async def at_end(self) -> bool:
        """Whether the gateway closed the connection and sent nothing more."""
        try:
            return await asyncio.wait_for(self.reader.read(1), WAIT) == b""
        except ConnectionError:
            return True
