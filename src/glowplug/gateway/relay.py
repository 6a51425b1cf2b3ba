"""Handing an engine's answer to the client as it arrives, byte for byte."""

from collections.abc import Sequence

import aiohttp
import msgspec

from glowplug.gateway.errors import Dialect, error_from_json, sse_error
from glowplug.gateway.exchange import Exchange
from glowplug.gateway.headers import Header, to_client
from glowplug.gateway.upstream import next_chunk

# Answers without a body, whatever their headers say (RFC 9110, sections 15.3.5 and 15.4.5).
_BODILESS = frozenset((204, 304))
_LONGEST_ERROR = 64 * 1024


async def relay(answer: aiohttp.ClientResponse, exchange: Exchange, added: Sequence[Header]) -> None:
    """Pass head and body on, no faster than the client reads. `added` are further response headers.

    Raises:
        ReplicaLost: the engine broke off in the middle.
    """
    headers = to_client(answer.raw_headers)
    if answer.status in _BODILESS:
        headers = [item for item in headers if item[0] != b"content-length"]
    headers.extend(added)
    await exchange.start(answer.status, headers)
    if answer.content_type == "text/event-stream" and "content-encoding" not in answer.headers:
        exchange.allow_error_event()
    await _relay_body(answer, exchange)


async def relay_events(answer: aiohttp.ClientResponse, exchange: Exchange) -> None:
    """Pass on the events of an answer whose head the gateway had to send before; anything else becomes an error event.

    Raises:
        ReplicaLost: the engine broke off in the middle.
    """
    if answer.status < 300 and answer.content_type == "text/event-stream":
        await _relay_body(answer, exchange)
        return
    text = bytearray()
    while len(text) < _LONGEST_ERROR and (chunk := await next_chunk(answer)):
        text += chunk
    error = error_from_json(answer.status, bytes(text))
    document = {"type": "error", "error": error} if exchange.dialect is Dialect.ANTHROPIC else {"error": error}
    await exchange.end(sse_error(msgspec.json.encode(document), exchange.dialect))


async def _relay_body(answer: aiohttp.ClientResponse, exchange: Exchange) -> None:
    content = answer.content
    while True:
        chunk = await next_chunk(answer)
        if content.at_eof():
            await exchange.end(chunk)
            return
        await exchange.write(chunk)
