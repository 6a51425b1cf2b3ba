"""Heads of the requests that the proxy of a sandbox gets, and what it makes of them. Pure."""

from dataclasses import dataclass
from urllib.parse import urlsplit

_HTTP_PORT = 80
_OF_ONE_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"upgrade"}
"""Fields that are not handed on, besides those that Connection names (RFC 9110 7.6.1)."""


class BadHead(Exception):
    """It is not what a proxy is asked. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a request is to go.

    `forward` is the head to send there, or None if the client wants a tunnel. `body` is how many bytes the client sends
    after the head, None if that shows only at the end.
    """

    host: str
    port: int
    forward: bytes | None = None
    body: int | None = 0


def parse_request(content: bytes) -> Head:
    """Read the head of a request, blank line included. Raises BadHead."""
    line, _, rest = content.partition(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise BadHead("This is not an HTTP/1 request.")
    method, target, version = words
    if method == b"CONNECT":
        host, port = _place(b"//" + target, None)
        return Head(host, port, None, None)
    if not target.lower().startswith(b"http://"):
        raise BadHead("A proxy needs CONNECT, or the whole URL that begins with http://.")
    host, port = _place(target, _HTTP_PORT)
    fields = _fields(rest)
    authority = target[len(b"http://") :].partition(b"/")[0].partition(b"?")[0]
    path = target[len(b"http://") + len(authority) :] or b"/"
    kept = [(name, value) for name, value in _without_hops(fields) if name.lower() != b"host"]
    own = [(b"Host", authority.rpartition(b"@")[2]), (b"Connection", b"close")]
    start = b" ".join((method, path if path.startswith(b"/") else b"/" + path, version))
    return Head(host, port, _joined(start, own + kept), _body(fields))


def forwarded_answer(content: bytes) -> tuple[bytes, bool]:
    """The head of an answer as the client gets it, and whether it is the last one; others are interim (1xx).

    The last one tells the client that the connection ends. Raises BadHead.
    """
    start, _, rest = content.partition(b"\r\n")
    words = start.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise BadHead("The answer is not HTTP/1.")
    last = not words[1].startswith(b"1")
    closing = [(b"Connection", b"close")] if last else []
    return _joined(start, [*closing, *_without_hops(_fields(rest))]), last


def refusal(status: int, reason: str) -> bytes:
    """A whole answer with one sentence."""
    body = f"{reason}\n".encode()
    words = {400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway", 503: "Service Unavailable"}
    head = f"HTTP/1.1 {status} {words[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def _place(url: bytes, default_port: int | None) -> tuple[str, int]:
    try:
        parts = urlsplit(url.decode("ascii"))
        host, port = parts.hostname, parts.port or default_port
    except ValueError as error:  # UnicodeDecodeError is one
        raise BadHead("The URL cannot be read.") from error
    if not host or not port:
        raise BadHead("A host and a port are missing.")
    return host, port


def _fields(content: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    for line in content.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if line and (not colon or not name or name != name.strip()):
            raise BadHead("A field of the head cannot be read.")
        if line:
            found.append((name, value.strip()))
    return found


def _without_hops(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    named = {
        word.strip() for name, value in fields if name.lower() == b"connection" for word in value.lower().split(b",")
    }
    dropped = _OF_ONE_CONNECTION | named
    return [(name, value) for name, value in fields if name.lower() not in dropped]


def _body(fields: list[tuple[bytes, bytes]]) -> int | None:
    known = {name.lower(): value for name, value in fields}
    if b"transfer-encoding" in known:
        return None
    length = known.get(b"content-length", b"0")
    if not length.isdigit():
        raise BadHead("The length of the body cannot be read.")
    return int(length)


def _joined(start: bytes, fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"\r\n".join([start, *(name + b": " + value for name, value in fields), b"", b""])
