"""What stands before the gateway's own routes: API keys, and no commands from other sites' pages."""

from typing import Any

from glowplug.gateway.auth import KeyRing
from glowplug.gateway.errors import ApiError
from glowplug.gateway.headers import Header, header
from glowplug.gateway.health import OPEN_PATHS
from glowplug.gateway.responses import error_response

_READING = frozenset(("GET", "HEAD", "OPTIONS"))


class Guard:
    """ASGI middleware."""

    def __init__(self, app: Any, keys: KeyRing | None) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            if self._keys is not None and scope["path"] not in OPEN_PATHS:
                self._keys.name_of(scope["headers"])
            if scope["method"] not in _READING:
                _same_origin(scope["headers"])
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _same_origin(headers: list[Header]) -> None:
    """Refuse a browser that was sent here by a page of another site.

    Browsers send such a POST without asking first, and a server on the loopback interface mostly has no API keys.

    Raises:
        ApiError: 403, the header `origin` names another host than `host`.
    """
    origin = header(headers, b"origin")
    if origin is not None and origin.partition(b"://")[2] != header(headers, b"host"):
        raise ApiError(403, "cross_origin", "Pages of other sites may not give commands here.")
