"""Which headers pass the gateway: hop-by-hop ones do not (RFC 9110, section 7.6.1), the rest do, unchanged."""

import itertools
import secrets
from collections.abc import Iterable

Header = tuple[bytes, bytes]

# Meant for one connection only. `host`, lengths and framing are set anew for the next connection; `expect` is answered
# by the gateway itself; `date` is set by the server.
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_NOT_TO_ENGINE = _HOP_BY_HOP | {b"host", b"content-length", b"expect", b"http2-settings"}
_NOT_TO_CLIENT = _HOP_BY_HOP | {b"date"}
_CREDENTIALS = frozenset((b"authorization", b"x-api-key"))
_HARMLESS_CONNECTION = frozenset((b"keep-alive", b"close", b"Keep-Alive", b"Close"))
_OURS = b"x-glowplug-"

_process = secrets.token_hex(6).encode()
_numbers = itertools.count(1)


def header(headers: Iterable[Header], name: bytes) -> bytes | None:
    """The first value of a header whose name is given, and was received, in lower case."""
    for candidate, value in headers:
        if candidate == name:
            return value
    return None


def to_engine(received: Iterable[Header], *, with_credentials: bool) -> list[Header]:
    """Request headers for the engine, with a new `x-request-id` if the client sent none.

    Without `with_credentials` the client's API key stays here.
    """
    headers: list[Header] = []
    has_id = False
    connection: list[bytes] | None = None
    for item in received:
        name = item[0]
        if name in _NOT_TO_ENGINE:
            if name == b"connection" and item[1] not in _HARMLESS_CONNECTION:
                connection = [*(connection or ()), item[1]]
            continue
        if name.startswith(_OURS) or (not with_credentials and name in _CREDENTIALS):
            continue
        headers.append(item)
        if name == b"x-request-id":
            has_id = True
    if connection:
        headers = _without(headers, connection)
    if not has_id:
        headers.append((b"x-request-id", b"%b-%x" % (_process, next(_numbers))))
    return headers


def to_client(received: Iterable[Header]) -> list[Header]:
    """Response headers for the client. Names are, and stay, in lower case."""
    headers: list[Header] = []
    connection: list[bytes] | None = None
    for item in received:
        name = item[0]
        if name in _NOT_TO_CLIENT:
            if name == b"connection" and item[1] not in _HARMLESS_CONNECTION:
                connection = [*(connection or ()), item[1]]
            continue
        headers.append(item)
    return _without(headers, connection) if connection else headers


def _without(headers: Iterable[Header], connection: Iterable[bytes]) -> list[Header]:
    """Leave out what the values of `Connection` name."""
    named = {token.strip().lower() for value in connection for token in value.split(b",")}
    return [item for item in headers if item[0] not in named]
