"""Handing an engine's answer to the client as it arrives, byte for byte."""

from collections.abc import Sequence

import aiohttp
import msgspec

from glowplug.gateway.errors import Dialect, error_from_json, sse_error
from glowplug.gateway.exchange import Exchange
from glowplug.gateway.headers import Header, to_client
from glowplug.gateway.upstream import BROKEN_OFF, lost

# Answers without a body, whatever their headers say (RFC 9110, sections 15.3.5 and 15.4.5).
_BODILESS = frozenset((204, 304))
_LONGEST_ERROR = 64 * 1024


def is_event_stream(answer: aiohttp.ClientResponse) -> bool:
    """Whether the engine answers with the stream that its client asked for."""
    return answer.status < 300 and answer.content_type == "text/event-stream"


async def relay_head(answer: aiohttp.ClientResponse, exchange: Exchange, added: Sequence[Header]) -> None:
    """Pass status and headers on, and `added` with them."""
    headers = to_client(answer.raw_headers)
    if answer.status in _BODILESS:
        headers = [item for item in headers if item[0] != b"content-length"]
    headers.extend(added)
    await exchange.start(answer.status, headers)
    if is_event_stream(answer) and "content-encoding" not in answer.headers:
        exchange.allow_error_event()


async def relay_body(answer: aiohttp.ClientResponse, exchange: Exchange) -> None:
    """Pass the body on, no faster than the client reads.

    Raises:
        ReplicaLost: the engine broke off before its end.
    """
    content = answer.content
    try:
        while True:
            chunk = await content.readany()
            if content.at_eof():
                await exchange.end(chunk)
                return
            await exchange.write(chunk)
    except BROKEN_OFF as error:
        raise lost(error) from error


async def relay_error(answer: aiohttp.ClientResponse, exchange: Exchange) -> None:
    """Tell in an event what is no stream: the head that would have said so had to be sent before.

    Raises:
        ReplicaLost: the engine broke off before the end.
    """
    text = bytearray()
    try:
        while len(text) < _LONGEST_ERROR and (chunk := await answer.content.readany()):
            text += chunk
    except BROKEN_OFF as error:
        raise lost(error) from error
    document = error_from_json(answer.status, bytes(text))
    shaped = {"type": "error", "error": document} if exchange.dialect is Dialect.ANTHROPIC else {"error": document}
    await exchange.end(sse_error(msgspec.json.encode(shaped), exchange.dialect))
