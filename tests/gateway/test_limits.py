"""Clients that send too much, too slowly, or do not read."""

import asyncio
import socket

import pytest

from tests.gateway.conftest import Serve, Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, STREAM, WAIT, post
from tests.gateway.upstream import SSE_HEAD, Received, Upstream, chunked

SOON = 0.2


@pytest.mark.parametrize("cut", [1, 50, 5000])
async def test_head_that_is_too_large_is_431(serve: Serve, fleet: Fleet, cut: int) -> None:
    served = await serve(max_headers=2000)
    client = await served.raw()
    request = post(CHAT, b"x-big: " + b"x" * 2000)
    for start in range(0, len(request), cut):
        if client.writer.is_closing():
            break
        client.writer.write(request[start : start + cut])
    got = await client.answer()
    assert got.status == 431
    assert got.json()["error"]["code"] == "headers_too_large"
    assert fleet.records == []


async def test_endless_header_is_431_before_it_ends(serve: Serve) -> None:
    served = await serve(max_headers=2000)
    client = await served.raw()
    await client.send(b"GET /v1/x HTTP/1.1\r\nx-endless: ")
    while client.reader._buffer == bytearray():  # type: ignore[attr-defined]
        await client.send(b"x" * 100)
    assert (await client.answer()).status == 431
    assert await client.at_end()


async def test_large_body_does_not_count_as_head(serve: Serve, upstream: Upstream) -> None:
    served = await serve(max_headers=2000)
    body = b'{"model":"m","x":"' + b"x" * 60_000 + b'"}'
    assert (await (await served.raw()).ask(post(body))).status == 200


@pytest.mark.parametrize("size", [3000, 200_000])
async def test_body_before_the_next_head_does_not_count_as_that_head(
    serve: Serve, upstream: Upstream, size: int
) -> None:
    served = await serve(max_headers=2000)
    client = await served.raw()
    first, second = post(b'{"model":"m","x":"' + b"x" * size + b'"}'), post(CHAT)
    # The body's end and the next head's beginning go out as one segment.
    await client.send(first[:200])
    await client.send(first[200:] + second[:20])
    assert (await client.answer()).status == 200
    await client.send(second[20:])
    assert (await client.answer()).status == 200


async def test_head_that_is_too_large_behind_a_body_is_431_before_it_ends(serve: Serve, upstream: Upstream) -> None:
    served = await serve(max_headers=2000)
    client = await served.raw()
    await client.send(post(CHAT) + b"GET /v1/x HTTP/1.1\r\nx-endless: ")
    assert (await client.answer()).status == 200
    while client.reader._buffer == bytearray():  # type: ignore[attr-defined]
        await client.send(b"x" * 100)
    assert (await client.answer()).status == 431
    assert await client.at_end()


@pytest.mark.parametrize("path", [b"/v1/x", b"/models/m/x"])
async def test_announced_body_that_is_too_large_is_413_without_being_asked_for(
    serve: Serve, fleet: Fleet, path: bytes
) -> None:
    served = await serve(max_body=1000)
    client = await served.raw()
    got = await client.ask(
        b"POST " + path + b" HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n"
    )
    assert got.status == 413
    assert "server.max_body" in got.json()["error"]["message"]
    assert fleet.records == []


async def test_body_that_grows_too_large_is_413(serve: Serve, fleet: Fleet) -> None:
    served = await serve(max_body=1000)
    client = await served.raw()
    await client.send(b"POST /v1/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b"x" * 600))
    await client.send(chunked(b"y" * 600))
    assert (await client.answer()).status == 413
    # The rest is read and thrown away, and then the connection is good again.
    await client.send(chunked(b"z" * 600) + b"0\r\n\r\n")
    assert (await client.ask(post(CHAT))).status == 200


async def test_body_of_just_the_limit_passes(serve: Serve, upstream: Upstream) -> None:
    served = await serve(max_body=len(CHAT))
    client = await served.raw()
    assert (await client.ask(post(CHAT))).status == 200
    assert (await client.ask(post(CHAT + b" "))).status == 413


async def test_client_that_does_not_finish_its_head_gets_408(serve: Serve, fleet: Fleet) -> None:
    served = await serve(client_timeout=SOON)
    client = await served.raw()
    await client.send(b"POST /v1/x HTTP/1.1\r\nhost: ")
    got = await client.answer()
    assert got.status == 408
    assert got.json()["error"]["code"] == "client_timeout"  # `request_timeout` is the engine's
    assert await client.at_end()


@pytest.mark.parametrize(("path", "key"), [(b"/v1/x", "code"), (b"/v1/messages", "type")])
async def test_client_that_does_not_finish_its_body_gets_408(serve: Serve, fleet: Fleet, path: bytes, key: str) -> None:
    served = await serve(client_timeout=SOON)
    client = await served.raw()
    await client.send(post(CHAT, path=path)[:-1])
    got = await client.answer()
    assert got.status == 408
    assert key in got.json()["error"]
    assert await client.at_end()
    assert fleet.records == []


async def test_drop_after_drop_does_not_buy_more_time(serve: Serve) -> None:
    served = await serve(client_timeout=SOON)
    client = await served.raw()
    await client.send(b"POST /v1/x HTTP/1.1\r\n")

    async def drip() -> None:
        while True:
            await client.send(b"x: y\r\n")
            await asyncio.sleep(SOON / 10)

    dripping = asyncio.create_task(drip())
    assert (await client.answer()).status == 408
    dripping.cancel()


async def test_idle_connection_is_closed_quietly(serve: Serve) -> None:
    served = await serve(client_timeout=SOON)
    fresh, used = await served.raw(), await served.raw()
    assert (await used.ask(post(CHAT))).status == 200
    assert await fresh.at_end()
    assert await used.at_end()
    assert served.connections == []


async def test_request_that_waits_for_its_model_is_not_a_slow_client(serve: Serve, fleet: Fleet) -> None:
    served = await serve(client_timeout=SOON)
    fleet.open.clear()
    waiting, marker = await served.raw(), await served.raw()
    await waiting.send(post(CHAT))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)
    for _ in range(3):  # each of these ends one client timeout later
        marker = await served.raw()
        assert await marker.at_end()
    fleet.open.set()
    assert (await waiting.answer()).status == 200


async def test_request_in_the_pipe_is_not_a_slow_client(serve: Serve, fleet: Fleet) -> None:
    served = await serve(client_timeout=SOON)
    fleet.open.clear()
    client = await served.raw()
    await client.send(post(CHAT) + post(CHAT)[:-3])
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)
    for _ in range(3):
        assert await (await served.raw()).at_end()
    fleet.open.set()
    assert (await client.answer()).status == 200
    await client.send(CHAT[-3:])
    assert (await client.answer()).status == 200


async def test_client_that_stops_reading_is_dropped_and_the_engine_freed(
    serve: Serve, upstream: Upstream, fleet: Fleet
) -> None:
    served = await serve(client_timeout=SOON)

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD)
        while not request.closed.is_set():
            writer.write(chunked(b"x" * 65536))
            await writer.drain()
            await asyncio.sleep(0)

    upstream.handler = handler
    client = socket.create_connection((served.host, served.port))
    await asyncio.get_running_loop().sock_sendall(client, post(STREAM))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)
    await asyncio.wait_for(fleet.records[0].ended.wait(), WAIT)
    assert fleet.records[0].outcome in ("left", "lost")
    assert served.connections == []
    client.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400_and_the_end(served: Served, fleet: Fleet, garbage: bytes) -> None:
    client = await served.raw()
    got = await client.ask(garbage)
    assert got.status == 400
    assert got.json()["error"]["code"] == "invalid_http"
    assert await client.at_end()
    assert [record.entered for record in fleet.records] == []


async def test_garbage_behind_a_request_does_not_spoil_its_answer(served: Served, fleet: Fleet) -> None:
    fleet.open.clear()
    client = await served.raw()
    await client.send(post(CHAT))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)
    await client.send(b"\x00\x01garbage\r\n\r\n")
    fleet.open.set()
    got = await client.answer()
    assert (got.status, got.json()) == (200, {"ok": True})
    assert await client.at_end()
