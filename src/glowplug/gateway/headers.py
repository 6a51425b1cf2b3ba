"""Which headers pass the gateway: hop-by-hop ones do not (RFC 9110, section 7.6.1), the rest do, unchanged."""

import itertools
import secrets
from collections.abc import Iterable, Sequence

from multidict import CIMultiDict

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

_process = secrets.token_hex(6)
_numbers = itertools.count(1)


def header(headers: Iterable[Header], name: bytes) -> bytes | None:
    """The first value of a header whose name is given, and was received, in lower case."""
    for candidate, value in headers:
        if candidate == name:
            return value
    return None


def _named_in_connection(values: Sequence[bytes]) -> frozenset[bytes]:
    return frozenset(token.strip().lower() for value in values for token in value.split(b","))


def to_engine(received: Iterable[Header], *, with_credentials: bool) -> CIMultiDict[str]:
    """Request headers for the engine, with a new `x-request-id` if the client sent none.

    Without `with_credentials` the client's API key stays here.
    """
    headers: CIMultiDict[str] = CIMultiDict()
    add = headers.add
    has_id = False
    connection: list[bytes] | None = None
    for name, value in received:
        if name in _NOT_TO_ENGINE:
            if name == b"connection" and value not in _HARMLESS_CONNECTION:
                connection = [*(connection or ()), value]
            continue
        if name.startswith(_OURS) or (not with_credentials and name in _CREDENTIALS):
            continue
        # aiohttp writes headers as UTF-8; bytes that are not UTF-8 are taken for Latin-1, as RFC 9110 once had it.
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        add(name.decode("latin-1"), text)
        if name == b"x-request-id":
            has_id = True
    if connection:
        for token in _named_in_connection(connection):
            headers.popall(token.decode("latin-1"), None)
    if not has_id:
        add("x-request-id", f"{_process}-{next(_numbers):x}")
    return headers


def to_client(received: Iterable[Header]) -> list[Header]:
    """Response headers for the client, names in lower case."""
    headers: list[Header] = []
    connection: list[bytes] | None = None
    for raw_name, value in received:
        name = raw_name.lower()
        if name in _NOT_TO_CLIENT:
            if name == b"connection" and value not in _HARMLESS_CONNECTION:
                connection = [*(connection or ()), value]
            continue
        headers.append((name, value))
    if connection:
        named = _named_in_connection(connection)
        headers = [(name, value) for name, value in headers if name not in named]
    return headers
