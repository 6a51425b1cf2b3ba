"""The event stream: tier changes and wakes, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from glowplug.gateway.streams import until_closing

# Proxies commonly close connections that were silent for 30 or 60 s.
_HEARTBEAT_SECONDS = 15.0


async def event_stream(
    events: AsyncIterator[Mapping[str, Any]], closing: asyncio.Event, heartbeat: float = _HEARTBEAT_SECONDS
) -> AsyncIterator[bytes]:
    """Each event under its `type`, as JSON; a comment at once, and whenever `heartbeat` seconds brought no event."""
    yield b": glowplug events\n\n"
    async for event in until_closing(events, closing, heartbeat):
        if event is None:
            yield b": heartbeat\n\n"
        else:
            yield b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))
