"""The client that the gateway talks to engines with: every form that HTTP/1.1 gives an answer."""

import asyncio
import os
import resource

import pytest

from tests.gateway.conftest import Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, WAIT, post
from tests.gateway.upstream import SSE_HEAD, Received, Upstream, answer, chunked


async def test_interim_answers_are_skipped(served: Served, upstream: Upstream) -> None:
    upstream.handler = upstream.reply(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + answer(b"ok", b"x-a: b")
    )
    client = await served.raw()
    for _ in range(2):
        got = await client.ask(post(CHAT))
        assert (got.status, got.body, got.one(b"link"), got.one(b"x-a")) == (200, b"ok", None, b"b")
    assert upstream.connections == 1


async def test_answer_without_a_length_ends_with_its_connection(served: Served, upstream: Upstream) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        for part in (b"one ", b"two ", b"three"):
            writer.write(part)
            await writer.drain()
        writer.close()

    upstream.handler = handler
    client = await served.raw()
    for _ in range(2):
        got = await client.ask(post(CHAT))
        assert (got.body, got.complete) == (b"one two three", True)
    assert upstream.connections == 2


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", answer(b"ok", b"connection: close")]
)
async def test_connection_that_the_engine_gives_up_is_not_used_again(
    served: Served, upstream: Upstream, reply: bytes
) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)  # and leaves it open, which must not matter

    upstream.handler = handler
    client = await served.raw()
    for _ in range(3):
        assert (await client.ask(post(CHAT))).body == b"ok"
    assert upstream.connections == 3


async def test_connection_that_was_closed_while_idle_is_replaced_unnoticed(
    served: Served, upstream: Upstream, fleet: Fleet
) -> None:
    """The engine closes without a word after its answer, and sees the next request on a fresh connection."""
    closed = asyncio.Event()

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"ok"))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    upstream.handler = handler
    client = await served.raw()
    for _ in range(20):
        assert (await client.ask(post(CHAT))).body == b"ok"
        await asyncio.wait_for(closed.wait(), WAIT)
        closed.clear()
    assert {record.outcome for record in fleet.records} == {"served"}


async def test_connection_that_closes_on_the_next_request_is_replaced_unnoticed(
    served: Served, upstream: Upstream, fleet: Fleet
) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        if request.target == b"/v1/second" and upstream.connections == 1:
            writer.close()  # as an engine does whose idle time ends at this very moment
        else:
            writer.write(answer(request.target))

    upstream.handler = handler
    client = await served.raw()
    assert (await client.ask(post(CHAT, path=b"/v1/first"))).body == b"/v1/first"
    assert (await client.ask(post(CHAT, path=b"/v1/second"))).body == b"/v1/second"
    assert upstream.connections == 2
    assert [record.outcome for record in fleet.records] == ["served", "served"]


async def test_answer_to_head_does_not_swallow_the_next_one(served: Served, upstream: Upstream) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n" if request.method == b"HEAD" else answer(b"ok"))

    upstream.handler = handler
    client = await served.raw()
    for _ in range(2):
        await client.send(b"HEAD /models/m/x HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await client.answer(method="HEAD")).one(b"content-length") == b"9"
        assert (await client.ask(post(CHAT))).body == b"ok"


async def test_engine_that_speaks_unasked_is_not_believed(served: Served, upstream: Upstream) -> None:
    upstream.handler = upstream.reply(answer(b"first") + answer(b"poison"))
    client = await served.raw()
    assert (await client.ask(post(CHAT))).body == b"first"
    upstream.handler = upstream.reply(answer(b"second"))
    assert (await client.ask(post(CHAT))).body == b"second"
    assert upstream.connections == 2


async def test_chunk_extensions_and_trailers_are_understood(served: Served, upstream: Upstream) -> None:
    upstream.handler = upstream.reply(SSE_HEAD + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nx-checksum: 1\r\n\r\n")
    client = await served.raw()
    for _ in range(2):
        got = await client.ask(post(CHAT))
        assert (got.body, got.complete, got.one(b"x-checksum")) == (b"abcde", True, None)
    assert upstream.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-big: " + b"x" * 200_000 + b"\r\n\r\n",
        b"\x00" * 100,
    ],
)
async def test_answer_that_is_not_http_is_502(served: Served, upstream: Upstream, fleet: Fleet, reply: bytes) -> None:
    upstream.handler = upstream.reply(reply)
    client = await served.raw()
    got = await client.ask(post(CHAT))
    assert got.status == 502
    assert got.json()["error"]["code"] == "bad_gateway"
    assert len(fleet.records) == 1
    upstream.handler = upstream.reply(answer(b"ok"))
    assert (await client.ask(post(CHAT))).status == 200


async def test_body_that_turns_into_garbage_is_cut(served: Served, upstream: Upstream) -> None:
    upstream.handler = upstream.reply(SSE_HEAD + chunked(b"data: 1\n\n") + b"no chunk size\r\n")
    got = await (await served.raw()).ask(post(CHAT))
    assert got.status == 200
    assert not got.complete


async def test_answer_that_comes_before_the_request_was_read_passes(served: Served, upstream: Upstream) -> None:
    server = await asyncio.start_server(_refuse_early, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    client = await served.raw()
    served.gateway._cluster.addresses = [f"http://{host}:{port}"]  # type: ignore[attr-defined]
    got = await client.ask(post(b"x" * 2_000_000, path=b"/models/m/x"))
    assert (got.status, got.body) == (413, b"too large")
    server.close()


async def _refuse_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(answer(b"too large", status=b"413 Too Large"))
    await writer.drain()
    while await reader.read(65536):
        pass
    writer.close()


async def test_idle_connections_are_let_go_before_engines_would_close_them(served: Served, upstream: Upstream) -> None:
    first, second = await served.raw(), await served.raw()
    await asyncio.gather(first.ask(post(CHAT)), second.ask(post(CHAT)))
    assert upstream.connections == 2
    for _ in range(2):
        await asyncio.wait_for(upstream.disconnected.acquire(), WAIT)
    assert served.gateway._engines._idle == {}
    assert (await first.ask(post(CHAT))).status == 200
    assert upstream.connections == 3


async def test_lack_of_file_descriptors_is_not_blamed_on_the_engine(
    served: Served, upstream: Upstream, fleet: Fleet
) -> None:
    client = await served.raw()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.open("/dev/null", os.O_RDONLY)  # the lowest number that is free
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
    try:
        got = await client.ask(post(CHAT))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(spare)
    assert got.status == 503
    assert "ulimit -n" in got.json()["error"]["message"]
    assert [record.outcome for record in fleet.records] == ["left"]
    assert (await client.ask(post(CHAT))).status == 200
