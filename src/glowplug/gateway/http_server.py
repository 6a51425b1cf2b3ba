"""Accepting connections and letting go of them: uvicorn's protocol under a lifecycle of our own.

uvicorn's `Server` would wake up ten times a second, take the signal handlers, and leave with the signal it got.
"""

import asyncio
import socket
from email.utils import formatdate
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from glowplug.config.models import ServerConfig
from glowplug.gateway.listening import BACKLOG
from glowplug.gateway.protocol import ClientConnection, Limits

# How long cancelled requests may take to say so to their clients.
_LAST_WORDS_SECONDS = 2.0


class HttpServer:
    """Serves an ASGI application on one listening socket."""

    def __init__(self, app: Any, config: ServerConfig) -> None:
        self._config = Config(
            app,
            http=ClientConnection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self._limits = Limits(max_head=config.max_headers, client_timeout=config.client_timeout)
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to accept connections."""
        self._config.load()
        loop = asyncio.get_running_loop()
        self._tick(loop)
        self._server = await loop.create_server(
            lambda: ClientConnection(self._config, self._state, self._limits), sock=listener, backlog=BACKLOG
        )

    def stop_accepting(self) -> None:
        """Close the socket and idle connections; requests that run go on, and theirs close after them."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def finish(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for running requests, then cut off what is left."""
        tasks = set(self._state.tasks)
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=timeout)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=_LAST_WORDS_SECONDS)
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._clock is not None:
            self._clock.cancel()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep the `date` header up to date. All answers share this one list and read it when their head is sent."""
        self._state.default_headers[:] = [(b"date", formatdate(usegmt=True).encode())]
        self._clock = loop.call_later(1.0, self._tick, loop)
