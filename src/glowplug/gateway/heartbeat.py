"""Signs of life for streaming clients whose model is waking.

Clients and the proxies between give up on a silent connection. A comment in the event stream keeps it open, and every
SSE client ignores it. The price: the status 200 is sent before the answer is known, so errors after it come as events.
"""

import asyncio

from glowplug.gateway.exchange import Exchange


class Heartbeat:
    """Sends a comment every `interval` seconds between `start` and `stop`; the first one opens the event stream."""

    def __init__(self, exchange: Exchange, model: str, interval: float) -> None:
        self._exchange = exchange
        self._model = model
        self._comment = f": glowplug waking {model}\n\n".encode()
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to count."""
        self._timer = self._loop.call_later(self._interval, self._fire)

    async def stop(self) -> None:
        """Send no more. Returns once a comment that is just being written is out."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._beat is not None:
            await self._beat

    def _fire(self) -> None:
        self._timer = None
        self._beat = self._loop.create_task(self._send())

    async def _send(self) -> None:
        if not self._exchange.started:
            await self._exchange.open_events(self._model)
        await self._exchange.write(self._comment)
        self._beat = None
        self.start()
