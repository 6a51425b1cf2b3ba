"""A running gateway in front of an in-memory cluster and a scripted engine, on the loop that production uses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import pytest
import uvloop

from glowplug.config.models import ServerConfig
from glowplug.gateway.auth import KeyRing, NamedKey
from glowplug.gateway.listening import listen, url_of
from glowplug.gateway.protocol import ClientConnection
from glowplug.gateway.server import Gateway
from tests.gateway.fleet import Fleet
from tests.gateway.raw import RawClient
from tests.gateway.upstream import Upstream


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    engine = Upstream()
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def fleet(upstream: Upstream) -> Fleet:
    return Fleet([upstream.address])


class Served:
    """A gateway that listens, and ways to talk to it."""

    def __init__(self, gateway: Gateway, url: str) -> None:
        self.gateway = gateway
        self.url = url
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self._session: aiohttp.ClientSession | None = None
        self._raw: list[RawClient] = []

    @property
    def http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(self.url, auto_decompress=False)
        return self._session

    @property
    def connections(self) -> list[ClientConnection]:
        """The connections that the gateway holds."""
        return list(self.gateway._server._state.connections)  # type: ignore[arg-type]

    async def raw(self, limit: int = 2**20) -> RawClient:
        client = await RawClient.connect(self.host, self.port, limit)
        self._raw.append(client)
        return client

    async def close(self) -> None:
        for client in self._raw:
            client.close()
        if self._session is not None:
            await self._session.close()
        self.gateway.stop_accepting()
        await self.gateway.close(0)


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve(fleet: Fleet) -> AsyncIterator[Serve]:
    running: list[Served] = []

    async def start(keys: Mapping[bytes, NamedKey] | None = None, **settings: Any) -> Served:
        gateway = Gateway(fleet, ServerConfig(**settings), None if keys is None else KeyRing(keys))
        listener = listen("127.0.0.1", 0)
        url = url_of(listener)
        await gateway.start(listener)
        running.append(Served(gateway, url))
        return running[-1]

    yield start
    for served in running:
        await served.close()


@pytest.fixture
async def served(serve: Serve) -> Served:
    return await serve()
