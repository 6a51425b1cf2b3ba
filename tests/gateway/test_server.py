"""The server process: how it starts, and how it ends."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from glowplug.gateway.listening import CannotListen, listen, url_of
from tests.gateway.raw import CHAT, STREAM, WAIT, RawClient, post
from tests.gateway.upstream import SSE_HEAD, Received, Upstream, answer, chunked

pytestmark = pytest.mark.slow


class Running:
    """A server process that is ready."""

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)

    async def client(self) -> RawClient:
        return await RawClient.connect(self.host, self.port)

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), WAIT)).decode().strip()

    async def rest(self) -> tuple[list[str], int]:
        """What it printed until its end, and its exit code."""
        output, _ = await asyncio.wait_for(self.process.communicate(), WAIT)
        assert self.process.returncode is not None
        return output.decode().split("\n")[:-1], self.process.returncode


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(upstream: Upstream) -> AsyncIterator[Start]:
    processes: list[Process] = []

    async def begin(*settings: str) -> Running:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.gateway.serving", "127.0.0.1", "0", upstream.address, *settings, stdout=PIPE
        )
        processes.append(process)
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"cluster starts\n"
        return Running(process, (await asyncio.wait_for(process.stdout.readline(), WAIT)).decode().strip())

    yield begin
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Gate:
    """A handler that streams one event, and the end only when it is let."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunked(b"data: 1\n\n"))
        await writer.drain()
        opened = asyncio.create_task(self.open.wait())
        closed = asyncio.create_task(request.closed.wait())
        await asyncio.wait((opened, closed), return_when=asyncio.FIRST_COMPLETED)
        writer.write(chunked(b"data: 2\n\n") + b"0\r\n\r\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_lets_running_requests_finish(start: Start, upstream: Upstream, number: int) -> None:
    gate = upstream.handler = Gate()
    running = await start()
    busy, idle = await running.client(), await running.client()
    upstream_reply = await _begin_stream(busy)
    running.process.send_signal(number)
    assert await running.line() == "cluster drains"
    assert await idle.at_end()
    with pytest.raises(ConnectionRefusedError):
        await running.client()

    gate.open.set()

    assert await busy.chunk() == b"data: 2\n\n"
    assert await busy.chunk() == b""
    assert upstream_reply == b"data: 1\n\n"
    assert await running.rest() == (["cluster closed"], 0)


async def _begin_stream(client: RawClient) -> bytes:
    await client.send(post(STREAM))
    assert (await client.head())[0] == 200
    return await client.chunk()


async def test_second_signal_stops_at_once(start: Start, upstream: Upstream) -> None:
    upstream.handler = Gate()
    running = await start()
    client = await running.client()
    await _begin_stream(client)
    running.process.send_signal(signal.SIGINT)
    assert await running.line() == "cluster drains"

    running.process.send_signal(signal.SIGINT)

    assert await running.rest() == (["cluster closed"], 0)
    rest = await asyncio.wait_for(client.reader.read(), WAIT)
    assert not rest.endswith(b"0\r\n\r\n")
    await asyncio.wait_for(upstream.received[0].closed.wait(), WAIT)


async def test_requests_that_outlast_the_drain_are_cut_off(start: Start, upstream: Upstream) -> None:
    upstream.handler = Gate()
    running = await start("drain_timeout=100ms")
    client = await running.client()
    await _begin_stream(client)
    running.process.send_signal(signal.SIGTERM)
    lines, code = await running.rest()
    assert (lines, code) == (["cluster drains", "cluster gives up", "cluster closed"], 0)
    rest = await asyncio.wait_for(client.reader.read(), WAIT)
    assert b"shutting_down" in rest
    assert not rest.endswith(b"0\r\n\r\n")


async def test_waiting_request_is_told_that_the_server_stops(start: Start, upstream: Upstream) -> None:
    async def never(request: Received, writer: asyncio.StreamWriter) -> None:
        await request.closed.wait()

    upstream.handler = never
    running = await start("drain_timeout=100ms")
    client = await running.client()
    await client.send(post(CHAT))
    await asyncio.wait_for(upstream.arrived.acquire(), WAIT)
    running.process.send_signal(signal.SIGTERM)
    got = await client.answer()
    assert got.status == 503
    assert got.json()["error"]["code"] == "shutting_down"


async def test_connection_is_closed_after_the_last_answer_of_a_stopping_server(
    start: Start, upstream: Upstream
) -> None:
    release = asyncio.Event()

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(answer(b"ok"))

    upstream.handler = handler
    running = await start()
    client = await running.client()
    await client.send(post(CHAT))
    await asyncio.wait_for(upstream.arrived.acquire(), WAIT)
    running.process.send_signal(signal.SIGTERM)
    assert await running.line() == "cluster drains"
    release.set()
    got = await client.answer()
    assert (got.body, got.one(b"connection")) == (b"ok", b"close")


async def test_port_in_use_is_one_sentence_and_exit_1(upstream: Upstream) -> None:
    port = upstream.address.rpartition(":")[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.gateway.serving", "127.0.0.1", port, upstream.address, stderr=PIPE, stdout=PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, output) == (1, b"")
    assert errors.decode() == (
        f"Port {port} on 127.0.0.1 is in use by another program; "
        "stop that program, or choose another port with --port or server.port.\n"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_address_of_another_machine_is_refused_with_the_remedy(host: str) -> None:
    with pytest.raises(CannotListen, match=r"cannot be listened on .*--host or server\.host"):
        listen(host, 0)


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")])
def test_url_is_one_that_a_client_here_can_use(host: str, url: str) -> None:
    try:
        listener = listen(host, 0)
    except CannotListen:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert url_of(listener) == f"http://{url}:{listener.getsockname()[1]}"
