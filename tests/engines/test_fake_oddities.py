"""The endpoints that make a proxy's life hard do what they say."""

import asyncio
import json
import urllib.error

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glowplug.config.models import ModelConfig
from glowplug.engines.fake import Fake
from glowplug.engines.fake_server.oddities import ODD_STREAM
from tests.engines.running import running


@pytest.fixture(scope="module")
def server():
    with running(Fake(), ModelConfig(engine="fake")) as server:
        yield server


async def exchange(server, request: bytes) -> bytes:
    """Send raw bytes and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


def chunks_of(body: bytes) -> list[bytes]:
    chunks = []
    while body:
        size, _, body = body.partition(b"\r\n")
        chunks.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return chunks


@settings(max_examples=25, deadline=None)
@given(body=st.binary(max_size=3000), method=st.sampled_from(["POST", "PUT", "PATCH", "DELETE"]))
def test_an_echo_is_the_same_bytes(server, body, method):
    with server.open(method, "/fake/echo/some/path?q=1&q=%20", body, {"Content-Type": "x/y"}) as answer:
        assert answer.read() == body
        assert answer.headers["content-type"] == "x/y"
        assert answer.headers["x-fake-method"] == method
        assert answer.headers["x-fake-target"] == "/fake/echo/some/path?q=1&q=%20"


def test_an_echo_tells_the_request_headers_and_returns_those_that_ask_for_it(server):
    with server.open("GET", "/fake/echo", None, {"X-Echo-Me": "1", "X-Other": "2"}) as answer:
        headers = json.loads(answer.headers["x-fake-headers"])
        assert ["X-Other", "2"] in headers
        assert answer.headers["x-echo-me"] == "1"
        assert answer.headers["x-other"] is None


async def test_the_odd_stream_is_split_anywhere(server):
    raw = await exchange(server, b"GET /fake/odd-stream?size=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"text/event-stream" in head
    chunks = chunks_of(body)
    assert chunks == [ODD_STREAM[place : place + 1] for place in range(len(ODD_STREAM))] + [b""]


def test_the_odd_stream_in_larger_pieces_is_the_same(server):
    with server.open("GET", "/fake/odd-stream?size=7") as answer:
        assert answer.read() == ODD_STREAM


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
def test_a_big_answer_has_the_asked_size(server, size):
    with server.open("GET", f"/fake/big?bytes={size}") as answer:
        body = answer.read()
    assert len(body) == size == int(answer.headers["content-length"])
    assert body[:256] == bytes(range(256))[:size]


async def test_a_big_answer_waits_for_a_client_that_does_not_read(server):
    size = 200 * 1024**2
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(b"GET /fake/big?bytes=%d HTTP/1.1\r\nhost: x\r\n\r\n" % size)
    await reader.readuntil(b"\r\n\r\n")
    assert server.get("/health") == {"status": "ok"}
    with open(f"/proc/{server.process.pid}/statm") as statm:
        assert int(statm.read().split()[1]) * 4096 < size / 2
    writer.close()


@pytest.mark.parametrize("status", [200, 400, 404, 418, 429, 500, 503])
def test_a_status_is_answered_as_asked(server, status):
    try:
        answer = server.open("GET", f"/fake/status/{status}")
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        assert answer.status == status
        assert json.load(answer)["error"]["code"] == status
        assert answer.headers["retry-after"] == ("7" if status in (429, 503) else None)


async def test_a_slow_reader_makes_the_sender_wait(server):
    size = 32 * 1024**2
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = b"POST /fake/slow-read?bytes_per_second=1000 HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size
    writer.write(head + b"x" * size)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 0.3)
    writer.transport.abort()


def test_a_slow_reader_counts_every_byte(server):
    with server.open("POST", "/fake/slow-read?bytes_per_second=1000000000", b"x" * 1_000_000) as answer:
        assert json.load(answer) == {"received": 1_000_000}


async def test_requests_on_one_connection_are_answered_in_order(server):
    one = b"POST /fake/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n"
    last = b"POST /fake/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\n"
    stream = b"GET /fake/odd-stream?size=500 HTTP/1.1\r\nhost: x\r\n\r\n"
    raw = await exchange(server, one + b"A" + stream + b"".join(one + b"B" for _ in range(40)) + last + b"C")
    assert raw.count(b"HTTP/1.1 200 OK") == 43
    assert raw.find(b"\r\n\r\nA") < raw.find(b"a comment") < raw.find(b"\r\n\r\nB")
    assert raw.endswith(b"C")


async def test_a_client_that_asks_first_is_told_to_go_on(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /fake/echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ok")
    assert (await asyncio.wait_for(reader.readuntil(b"ok"), 30)).endswith(b"\r\n\r\nok")
    writer.close()


async def test_what_is_not_http_is_refused(server):
    assert (await exchange(server, b"\x16\x03\x01 hello\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_a_body_in_chunks_is_put_together(server):
    request = b"POST /fake/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    raw = await exchange(server, request + b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")
    assert raw.endswith(b"\r\n\r\nabcde")
