"""Asking an engine: what comes back, and in which words it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from glowplug.engines.base import Call
from glowplug.node.host import LocalHost
from glowplug.node.ports import PortPool
from glowplug.node.supervisor import Supervisor
from tests.node.programs import PATIENCE

CALL = Call("POST", "/sleep", {"level": 1})


@pytest.fixture
async def host(tmp_path) -> AsyncIterator[LocalHost]:
    host = LocalHost(Supervisor(tmp_path), PortPool(18730, 18731), tmp_path)
    yield host
    await host.close()


@asynccontextmanager
async def engine(answer: bytes) -> AsyncIterator[int]:
    """The port of a server that reads a request, sends these bytes and closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b'{"level": 1}')
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("body", "parsed"), [(b'{"status": "sleeping"}', {"status": "sleeping"}), (b"no \xff JSON", "no � JSON")]
)
async def test_status_and_body_come_back(host, body, parsed):
    async with engine(b"HTTP/1.1 503 X\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)) as port:
        assert await host.call(f"http://127.0.0.1:{port}", CALL, PATIENCE) == (503, parsed)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the engine closed the connection"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "the engine closed the connection"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "the engine closed the connection"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{", "the engine closed the connection"),
        (b"SSH-2.0-x\r\n\r\n", "the engine's answer is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "the engine's answer is not valid HTTP"),
    ],
)
async def test_an_answer_that_is_none_is_told_in_plain_words(host, answer, words):
    async with engine(answer) as port:
        with pytest.raises(OSError) as caught:
            await host.call(f"http://127.0.0.1:{port}", CALL, PATIENCE)
    assert str(caught.value) == words


async def test_a_port_on_which_nobody_listens_is_told_in_plain_words(host):
    async with engine(b"") as port:
        pass
    with pytest.raises(OSError) as caught:
        await host.call(f"http://127.0.0.1:{port}", CALL, PATIENCE)
    assert str(caught.value) == "the engine refused the connection"


async def test_an_engine_that_says_nothing_is_a_timeout(host):
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(PATIENCE), "127.0.0.1", 0)
    async with silent:
        with pytest.raises(TimeoutError):
            await host.call(f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}", CALL, 0.05)
