"""Handing an engine's answer to the client as it arrives, byte for byte."""

from collections.abc import Sequence

import msgspec

from glowplug.gateway.engine_connection import EngineConnection
from glowplug.gateway.errors import Dialect, error_from_json, sse_error
from glowplug.gateway.exchange import Exchange
from glowplug.gateway.headers import Header, header, to_client

_LONGEST_ERROR = 64 * 1024


def is_event_stream(answer: EngineConnection) -> bool:
    """Whether the engine answers with the stream that its client asked for."""
    kind = header(answer.headers, b"content-type") or b""
    return answer.status < 300 and kind.partition(b";")[0].strip().lower() == b"text/event-stream"


def relay_head(answer: EngineConnection, exchange: Exchange, added: Sequence[Header]) -> None:
    """Pass status and headers on, and `added` with them."""
    exchange.start(answer.status, [*to_client(answer.headers), *added])
    if is_event_stream(answer) and header(answer.headers, b"content-encoding") is None:
        exchange.allow_error_event()


async def relay_body(answer: EngineConnection, exchange: Exchange) -> None:
    """Pass the body on, no faster than the client reads.

    Raises:
        ReplicaLost: the engine broke off before its end.
        InvalidAnswer: the body is not what HTTP allows.
    """
    if answer.empty:
        exchange.flush()
    while True:
        chunk = await answer.read()
        if answer.complete:
            await exchange.end(chunk)
            return
        await exchange.write(chunk)


async def relay_error(answer: EngineConnection, exchange: Exchange) -> None:
    """Tell in an event what is no stream: the head that would have said so had to be sent before.

    Raises:
        ReplicaLost: the engine broke off before the end.
    """
    text = bytearray()
    while len(text) < _LONGEST_ERROR and (chunk := await answer.read()):
        text += chunk
    document = error_from_json(answer.status, bytes(text))
    shaped = {"type": "error", "error": document} if exchange.dialect is Dialect.ANTHROPIC else {"error": document}
    await exchange.end(sse_error(msgspec.json.encode(shaped), exchange.dialect))
