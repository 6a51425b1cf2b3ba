"""Streams: as they come, no faster than they are read, and never longer than someone listens."""

import asyncio
import json

import pytest

from tests.gateway.conftest import Serve, Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, STREAM, WAIT, RawClient, post
from tests.gateway.upstream import SSE_HEAD, Received, Upstream, chunked


async def test_each_part_arrives_before_the_next_is_sent(served: Served, upstream: Upstream) -> None:
    parts = [
        b": comment\n\n",
        b'data: {"a"',
        b": 1}\n",
        b"\ndata: \xff\xfe\r",
        b"\n\r\n",
        b"event: x\ndata: [DONE]\n\n",
    ]
    proceed = asyncio.Semaphore(0)

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD)
        for part in parts:
            await proceed.acquire()
            writer.write(chunked(part))
        await proceed.acquire()
        writer.write(b"0\r\n\r\n")

    upstream.handler = handler
    client = await served.raw()
    await client.send(post(STREAM))
    status, headers = await client.head()
    assert status == 200
    assert (b"content-type", b"text/event-stream") in headers
    for part in parts:
        proceed.release()
        assert await client.chunk() == part
    proceed.release()
    assert await client.chunk() == b""


async def test_slow_reader_slows_the_engine_down(served: Served, upstream: Upstream) -> None:
    written = 0
    blocked = asyncio.Event()
    total = 64 * 2**20

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while written < total:
            writer.write(b"x" * 2**16)
            written += 2**16
            if not blocked.is_set():
                try:
                    async with asyncio.timeout(0.5):
                        await writer.drain()
                except TimeoutError:
                    blocked.set()
            await writer.drain()

    upstream.handler = handler
    client = await served.raw(limit=2**17)
    await client.send(post(CHAT))
    await asyncio.wait_for(blocked.wait(), WAIT)

    (connection,) = served.connections
    assert connection.transport.get_write_buffer_size() < 2**19
    # What is not in the gateway is in the kernel's socket buffers, which are a few MiB.
    assert written < total / 2

    got = await client.answer()
    assert (len(got.body), got.complete) == (total, True)


async def test_engine_notices_that_the_client_left_in_mid_stream(
    served: Served, upstream: Upstream, fleet: Fleet
) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunked(b"data: 1\n\n"))
        await request.closed.wait()
        writer.close()

    upstream.handler = handler
    client = await served.raw()
    await client.send(post(STREAM))
    await client.head()
    assert await client.chunk() == b"data: 1\n\n"

    client.close()

    await asyncio.wait_for(upstream.received[0].closed.wait(), WAIT)
    await asyncio.wait_for(fleet.records[0].ended.wait(), WAIT)
    assert fleet.records[0].outcome == "left"


async def test_engine_notices_that_the_client_left_before_the_answer_began(
    served: Served, upstream: Upstream, fleet: Fleet
) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        await request.closed.wait()
        writer.close()

    upstream.handler = handler
    client = await served.raw()
    await client.send(post(CHAT))
    await asyncio.wait_for(upstream.arrived.acquire(), WAIT)

    client.abort()

    await asyncio.wait_for(upstream.received[0].closed.wait(), WAIT)
    await asyncio.wait_for(fleet.records[0].ended.wait(), WAIT)
    assert fleet.records[0].outcome == "left"


async def test_connection_of_a_broken_off_answer_is_not_used_again(served: Served, upstream: Upstream) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunked(b"data: 1\n\n"))
        await request.closed.wait()
        writer.close()

    upstream.handler = handler
    first = await served.raw()
    await first.send(post(STREAM))
    await first.head()
    first.close()
    await asyncio.wait_for(upstream.received[0].closed.wait(), WAIT)
    upstream.handler = upstream.reply(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    assert (await (await served.raw()).ask(post(CHAT))).body == b"ok"
    assert upstream.connections == 2


async def _broken_stream(served: Served, upstream: Upstream, *parts: bytes, path: bytes = b"/v1/x") -> bytes:
    """The body up to the point where the connection breaks; fails if the end looks like a complete body."""

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunked(*parts))
        await writer.drain()
        writer.close()

    upstream.handler = handler
    client: RawClient = await served.raw()
    got = await client.ask(post(STREAM, path=path))
    assert got.status == 200
    assert not got.complete
    return got.body


async def test_stream_that_breaks_between_events_ends_with_an_error_event_and_no_clean_end(
    served: Served, upstream: Upstream, fleet: Fleet
) -> None:
    body = await _broken_stream(served, upstream, b"data: 1\n\n")
    first, second, rest = body.split(b"\n\n")
    assert (first, rest) == (b"data: 1", b"")
    error = json.loads(second.removeprefix(b"data: "))["error"]
    assert error["type"] == "server_error"
    assert "m failed" in error["message"]
    assert fleet.records[0].outcome == "lost"


async def test_messages_stream_breaks_with_an_error_event_of_its_own_kind(served: Served, upstream: Upstream) -> None:
    body = await _broken_stream(served, upstream, b"event: ping\ndata: {}\n\n", path=b"/v1/messages")
    kind, data = body.split(b"\n\n")[1].split(b"\n")
    assert kind == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["error"]["type"] == "api_error"


async def test_stream_that_breaks_inside_an_event_is_only_cut(served: Served, upstream: Upstream) -> None:
    assert await _broken_stream(served, upstream, b"data: 1\n\n", b'data: {"hal') == b'data: 1\n\ndata: {"hal'


async def test_request_is_not_repeated_once_its_answer_began(served: Served, upstream: Upstream) -> None:
    await _broken_stream(served, upstream, b"data: 1\n\n")
    assert len(upstream.received) == 1


async def test_answer_shorter_than_its_length_is_cut_short_for_the_client_too(
    served: Served, upstream: Upstream
) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
        await writer.drain()
        writer.close()

    upstream.handler = handler
    got = await (await served.raw()).ask(post(CHAT))
    assert (got.body, got.complete) == (b"only this", False)


async def test_engine_that_takes_longer_than_allowed_to_answer_gets_504(serve: Serve, upstream: Upstream) -> None:
    served = await serve(request_timeout=0.05)

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        await request.closed.wait()
        writer.close()

    upstream.handler = handler
    got = await (await served.raw()).ask(post(CHAT))
    assert got.status == 504
    assert got.json()["error"]["code"] == "request_timeout"
    await asyncio.wait_for(upstream.received[0].closed.wait(), WAIT)


async def test_stream_that_takes_longer_than_allowed_is_broken_off(serve: Serve, upstream: Upstream) -> None:
    served = await serve(request_timeout=0.05)

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunked(b"data: 1\n\n"))
        await request.closed.wait()
        writer.close()

    upstream.handler = handler
    got = await (await served.raw()).ask(post(STREAM))
    assert got.status == 200
    assert not got.complete
    assert b"request_timeout" in got.body


@pytest.mark.parametrize("reply", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"])
async def test_engine_that_does_not_speak_http_gets_502(
    served: Served, upstream: Upstream, fleet: Fleet, reply: bytes
) -> None:
    upstream.handler = upstream.reply(reply)
    got = await (await served.raw()).ask(post(CHAT))
    assert got.status == 502
    assert got.json()["error"]["code"] == "bad_gateway"
    assert len(upstream.received) == 1
