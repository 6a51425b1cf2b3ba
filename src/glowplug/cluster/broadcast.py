"""One sender, any number of listeners, none of which can hold the sender up."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

BACKLOG = 1000
"""Events kept for a listener that does not keep up; after that it loses the oldest."""


class Broadcast:
    """Events for whoever listens at the moment."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[Mapping[str, Any] | None]] = set()

    def send(self, kind: str, **details: Any) -> None:
        """Tell all listeners; `at` (UTC, ISO 8601) is added."""
        if not self._listeners:
            return
        self._put({"type": kind, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **details})

    def close(self) -> None:
        """End all iterations."""
        self._put(None)

    def listen(self) -> AsyncIterator[Mapping[str, Any]]:
        """Events from this call on (not only from the first `anext`)."""
        queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue(BACKLOG)
        self._listeners.add(queue)
        return self._drain(queue)

    async def _drain(self, queue: "asyncio.Queue[Mapping[str, Any] | None]") -> AsyncIterator[Mapping[str, Any]]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._listeners.discard(queue)

    def _put(self, event: Mapping[str, Any] | None) -> None:
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)
