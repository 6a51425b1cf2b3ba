"""Reading a request's body, within its limit."""

from collections.abc import Iterable
from typing import Any

from glowplug.gateway.errors import ApiError
from glowplug.gateway.headers import Header, header


class ClientLeft(Exception):
    """The client went away, or was turned away, while it was sending its request."""


async def read_body(headers: Iterable[Header], receive: Any, limit: int) -> bytes:
    """The whole body of an ASGI request. How long it may take is the connection's concern.

    Raises:
        ApiError: 413, it is, or says that it will be, larger than `limit` bytes.
        ClientLeft: it will not arrive.
    """
    length = header(headers, b"content-length")
    if length is not None and int(length) > limit:
        # Before `receive`, which would answer `Expect: 100-continue`.
        raise _too_large(limit)
    message = await receive()
    if not message.get("more_body", True):
        body: bytes = message["body"]
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientLeft
        size += len(message["body"])
        if size > limit:
            raise _too_large(limit)
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)
        message = await receive()


def _too_large(limit: int) -> ApiError:
    return ApiError(
        413, "request_too_large", f"The request body is larger than the {limit} bytes that server.max_body allows."
    )
