"""Letting web pages of other origins use the models: the CORS protocol of the Fetch standard.

It stands before everything under `/v1/` and `/models/`. The admin API is left out, and stays same-origin.
"""

from collections.abc import Awaitable, Collection
from typing import Any

from glowplug.gateway.errors import ApiError, dialect_of
from glowplug.gateway.headers import Header, header

_PATHS = (b"/v1/", b"/models/")
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_EXPOSED = b"x-glowplug-model, x-glowplug-woke-from, x-glowplug-wait-ms, x-request-id, retry-after"
# Chromium remembers the answer to a preflight request no longer than two hours.
_MAX_AGE_SECONDS = b"7200"
_ANY = "*"


class Cors:
    """ASGI middleware that answers preflight requests itself, and says in each answer who may read it.

    What engines say about it is replaced: they see the gateway, not the page.
    """

    def __init__(self, app: Any, origins: Collection[str]) -> None:
        self._app = app
        self._any = _ANY in origins
        self._origins = frozenset(origin.encode() for origin in origins)

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if not scope["raw_path"].startswith(_PATHS):
            return self._app(scope, receive, send)
        headers: list[Header] = scope["headers"]
        origin = header(headers, b"origin")
        allowed = self._allowed(origin)
        if scope["method"] == "OPTIONS" and origin and header(headers, b"access-control-request-method"):
            return _answer_preflight(scope, origin, allowed, send)

        async def send_with_permission(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with_permission(message["headers"], allowed)}
            await send(message)

        return self._app(scope, receive, send_with_permission)

    def _allowed(self, origin: bytes | None) -> bytes | None:
        if self._any:
            return b"*"
        return origin if origin in self._origins else None


async def _answer_preflight(scope: Any, origin: bytes, allowed: bytes | None, send: Any) -> None:
    headers: list[Header] = [(b"vary", b"Origin, Access-Control-Request-Headers")]
    if allowed is None:
        message = f"Pages of {origin.decode('latin-1')} may not use this server; see server.cors_origins."
        error = ApiError(403, "cross_origin", message)
        status, body = error.status, error.body(dialect_of(scope["raw_path"]))
        headers += error.headers(body)
    else:
        status, body = 204, b""
        headers += [
            (b"access-control-allow-origin", allowed),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-max-age", _MAX_AGE_SECONDS),
        ]
        # Not `*`, which does not stand for `authorization`.
        if wanted := header(scope["headers"], b"access-control-request-headers"):
            headers.append((b"access-control-allow-headers", wanted))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _with_permission(headers: list[Header], allowed: bytes | None) -> list[Header]:
    kept = [item for item in headers if not item[0].startswith(b"access-control-")]
    kept.append((b"vary", b"Origin"))
    if allowed is not None:
        kept += [(b"access-control-allow-origin", allowed), (b"access-control-expose-headers", _EXPOSED)]
    return kept
