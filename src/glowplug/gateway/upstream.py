"""The engine's side: one shared aiohttp session, and its failures in the gateway's words."""

import asyncio
import errno
import io
import os
from collections.abc import Mapping

import aiohttp
from yarl import URL

from glowplug.checkpoint.sandbox_addresses import socket_for
from glowplug.cluster.base import ReplicaLost
from glowplug.gateway.errors import ApiError

# uvicorn and cpp-httplib, under most engines, close connections that were idle for 5 s. Ours must be gone earlier, or a
# request now and then meets a connection that is just being closed.
_IDLE_SECONDS = 2.0
_CONNECT_SECONDS = 10.0
_MAX_HEAD = 64 * 1024
# Read ahead of a slow client: twice this per stream, at most.
_READ_AHEAD = 32 * 1024
_LARGE_BODY = 1024 * 1024
# Not the engine's fault.
_OUT_OF_FILES = frozenset((errno.EMFILE, errno.ENFILE))

# What aiohttp raises when an engine cannot be reached, or closes the connection too early.
BROKEN_OFF = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError)


def open_session() -> aiohttp.ClientSession:
    """The session that all requests to engines share. It adds no header and changes no body."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS, socket_factory=socket_for),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        auto_decompress=False,
        skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
        read_bufsize=_READ_AHEAD,
        max_line_size=_MAX_HEAD,
        max_field_size=_MAX_HEAD,
    )


async def ask(
    session: aiohttp.ClientSession, method: str, address: str, target: str, headers: Mapping[str, str], body: bytes
) -> aiohttp.ClientResponse:
    """Send one request and wait for the head of the answer. `target` is path and query, as the client sent them.

    Raises:
        ReplicaLost: the engine could not be reached, or went away before it answered.
        ApiError: 502, it answered something that is not HTTP; 503, this process may open no more connections.
    """
    try:
        return await session.request(
            method,
            URL(address + target, encoded=True),
            headers=headers,
            data=_payload(body),
            allow_redirects=False,
        )
    except aiohttp.ClientResponseError as error:
        raise ApiError(502, "bad_gateway", "The engine's answer is not valid HTTP.") from error
    except BROKEN_OFF as error:
        if getattr(error, "errno", None) in _OUT_OF_FILES:
            message = "The server has too many connections open; raise its limit of open files (ulimit -n)."
            raise ApiError(503, "too_many_connections", message) from error
        raise lost(error) from error


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    """A large body is handed over as a file, which aiohttp writes piece by piece."""
    if len(body) > _LARGE_BODY:
        return io.BytesIO(body)
    return body or None


def lost(error: BaseException) -> ReplicaLost:
    """What happened to the engine, as the end of a sentence."""
    if isinstance(error, aiohttp.ClientConnectorError):
        if error.errno == errno.ECONNREFUSED:
            return ReplicaLost("the engine refused the connection")
        return ReplicaLost(f"the engine cannot be reached ({os.strerror(error.errno or 0)})")
    if isinstance(error, asyncio.TimeoutError):
        return ReplicaLost(f"the engine did not accept a connection within {_CONNECT_SECONDS:g} s")
    return ReplicaLost("the engine closed the connection")
