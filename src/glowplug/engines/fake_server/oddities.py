"""Endpoints under `/fake/` that make a proxy's life hard: echoes, odd streams, large, slow and failing answers."""

import json
from collections.abc import Awaitable, Callable, Mapping

from glowplug.engines.fake_server.connection import Connection, Request, answer

ODD_STREAM = (
    b": a comment before anything else\n\n"
    b'data: {"choices":[{"index":0,"delta":{"content":"gr\xc3\xbc\xc3\x9fe \xf0\x9f\x94\xa5"}}],"x_unknown":[1]}\n\n'
    b"event: x-own-event\r\nid: 7\r\nretry: 100\r\ndata: two\r\ndata: lines\r\n\r\n"
    b": ping\n\n"
    b"data: [DONE]\n\n"
    b"data: after the end\n"
)
"""Legal server-sent events that few servers write: comments, own event names, CRLF, two data lines, unknown fields,
four-byte characters, data after [DONE], and no blank line at the end."""

_PATTERN = bytes(range(256)) * 256


def _echo(request: Request, connection: Connection) -> bytes:
    """The body as it came; method, target and all headers, in order, as JSON in answer headers."""
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers]
    extra = [
        (b"x-fake-method", request.method.encode()),
        (b"x-fake-target", request.target),
        (b"x-fake-headers", json.dumps(headers).encode()),
    ]
    kept = [(name, value) for name, value in request.headers if name.lower().startswith(b"x-echo-")]
    content_type = request.header(b"content-type") or b"application/octet-stream"
    return answer(request.body, content_type=content_type, headers=[*extra, *kept])


async def _odd_stream(request: Request, connection: Connection) -> None:
    """`ODD_STREAM` in chunks of `?size=N` bytes (default 1, so that chunks end inside characters and line ends)."""
    size = request.number("size", 1)
    connection.start_stream()
    for start in range(0, len(ODD_STREAM), size):
        connection.write_chunk(ODD_STREAM[start : start + size])
        await connection.flush()
    connection.end_stream()


async def _big(request: Request, connection: Connection) -> None:
    """`?bytes=N` bytes of a repeating pattern, as fast as the client reads."""
    left = request.number("bytes", 1024**2)
    connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n\r\n" % left)
    while left > 0:
        piece = _PATTERN[:left]
        connection.write(piece)
        left -= len(piece)
        await connection.drain()


def _slow_read(request: Request, connection: Connection) -> bytes:
    """Reads the body at `?bytes_per_second=N` and says how long it was."""
    return answer(json.dumps({"received": request.received}).encode())


def _status(request: Request, connection: Connection) -> bytes:
    """`/fake/status/N`: that status with an error as OpenAI writes it."""
    status = int(request.path.rpartition("/")[2])
    error = {"message": f"status {status} was asked for", "type": "fake_error", "param": None, "code": status}
    headers = [(b"retry-after", b"7")] if status in (429, 503) else []
    return answer(json.dumps({"error": error}).encode(), status, headers=headers)


ODDITIES: Mapping[str, Callable[[Request, Connection], bytes | Awaitable[None]]] = {
    "/fake/echo": _echo,
    "/fake/odd-stream": _odd_stream,
    "/fake/big": _big,
    "/fake/slow-read": _slow_read,
    "/fake/status/": _status,
}
"""By the beginning of the path."""
