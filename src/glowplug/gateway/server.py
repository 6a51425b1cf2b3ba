"""`glowplug serve` from start to end: one cluster behind one HTTP server, until a signal says stop."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from typing import Protocol

from glowplug.cluster.base import Cluster
from glowplug.config.models import ServerConfig
from glowplug.gateway.app import build_app
from glowplug.gateway.auth import KeyRing
from glowplug.gateway.http_server import HttpServer
from glowplug.gateway.listening import url_of
from glowplug.gateway.metrics import Metrics
from glowplug.gateway.process import prepare_process
from glowplug.gateway.upstream import open_session

log = logging.getLogger("glowplug.gateway")

# Answers that were complete when the engines stopped may still be on their way to the clients.
_FLUSH_SECONDS = 1.0


class ManagedCluster(Cluster, Protocol):
    """A cluster whose life the server holds in its hands."""

    async def start(self) -> None:
        """Begin to serve."""
        ...

    async def drain(self, timeout: float) -> None:
        """Accept nothing new; return when what runs is finished and stopped, or after `timeout` seconds."""
        ...

    async def close(self) -> None:
        """End everything at once."""
        ...


class Gateway:
    """The HTTP side of one cluster."""

    def __init__(self, cluster: Cluster, config: ServerConfig, keys: KeyRing | None) -> None:
        self._cluster = cluster
        self._config = config
        self._keys = keys
        self._closing = asyncio.Event()

    async def start(self, listener: socket.socket) -> None:
        """Begin to accept requests. Needs a cluster that has started."""
        self._session = open_session()
        metrics = Metrics(self._cluster)
        self._following = asyncio.create_task(metrics.follow())
        app = build_app(self._cluster, self._config, self._session, metrics, self._keys, self._closing)
        self._server = HttpServer(app, self._config)
        await self._server.start(listener)

    def stop_accepting(self) -> None:
        """Take no new connections, and end the streams that would never end by themselves."""
        self._closing.set()
        self._server.stop_accepting()

    async def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for requests that run, then cut off the rest."""
        await self._server.finish(timeout)
        self._following.cancel()
        await self._session.close()


async def serve(
    config: ServerConfig,
    cluster: ManagedCluster,
    listener: socket.socket,
    keys: KeyRing | None,
    ready: Callable[[str], None],
) -> None:
    """Serve `cluster` on `listener` until SIGINT or SIGTERM; `ready` is called with the URL once requests are taken.

    The first signal drains: nothing new, what runs is finished within `server.drain_timeout`. A second one stops
    everything at once.
    """
    signals: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.put_nowait, None)
    gateway = Gateway(cluster, config, keys)
    try:
        await cluster.start()
        await gateway.start(listener)
        prepare_process()
        ready(url_of(listener))
        await signals.get()
        gateway.stop_accepting()
        drained = asyncio.ensure_future(cluster.drain(config.drain_timeout))
        forced = asyncio.ensure_future(signals.get())
        await asyncio.wait((drained, forced), return_when=asyncio.FIRST_COMPLETED)
        flush = 0.0 if forced.done() else _FLUSH_SECONDS
        drained.cancel()
        forced.cancel()
        await gateway.close(flush)
    finally:
        await cluster.close()
