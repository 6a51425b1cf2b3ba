"""What passes the gateway, passes byte for byte."""

import asyncio
import errno
import gzip
import itertools

import aiohappyeyeballs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.conftest import Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, WAIT, post
from tests.gateway.upstream import SSE_HEAD, Received, Upstream, answer, chunked

on_one_gateway = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


async def test_request_reaches_the_engine_unchanged(served: Served, upstream: Upstream) -> None:
    body = b'{ "model" : "alias",\n "tools":[{"x":1e400}], "logprobs":true, "unknown":"\\u00e9\xc3\xa9" }'
    client = await served.raw()

    await client.ask(post(body, b"Content-Type: application/json", b"X-Thing: a", b"x-thing: b", b"Accept: */*"))

    (request,) = upstream.received
    assert request.line == b"POST /v1/chat/completions HTTP/1.1"
    assert request.body == body
    assert request.one(b"content-type") == b"application/json"
    assert request.all(b"x-thing") == [b"a", b"b"]
    assert request.one(b"host") == upstream.address.removeprefix("http://").encode()
    assert request.one(b"content-length") == str(len(body)).encode()


async def test_gateway_adds_no_request_header_but_an_id(served: Served, upstream: Upstream) -> None:
    client = await served.raw()
    await client.ask(post(CHAT))
    await client.ask(post(CHAT))

    first, second = upstream.received
    assert [name for name, _ in first.headers] == [b"host", b"x-request-id", b"content-length"]
    assert first.one(b"x-request-id") != second.one(b"x-request-id")


async def test_request_id_of_the_client_is_kept(served: Served, upstream: Upstream) -> None:
    client = await served.raw()
    await client.ask(post(CHAT, b"X-Request-Id: mine", b"X-Forwarded-For: 10.0.0.1", b"X-Forwarded-Proto: https"))

    (request,) = upstream.received
    assert request.one(b"x-request-id") == b"mine"
    assert request.one(b"x-forwarded-for") == b"10.0.0.1"
    assert request.one(b"x-forwarded-proto") == b"https"


async def test_answer_reaches_the_client_with_the_gateways_headers_added(
    served: Served, upstream: Upstream, fleet: Fleet
) -> None:
    fleet.waited = 0.0234
    upstream.handler = upstream.reply(
        answer(b'{"a": 1}', b"Content-Type: application/json", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Server: x")
    )
    client = await served.raw()

    got = await client.ask(post(b'{"model":"alias"}'))

    assert (got.status, got.body, got.complete) == (200, b'{"a": 1}', True)
    assert got.all(b"set-cookie") == [b"a=1", b"b=2"]
    assert got.one(b"server") == b"x"
    assert got.one(b"x-glowplug-model") == b"m"
    assert got.one(b"x-glowplug-woke-from") == b"running"
    assert got.one(b"x-glowplug-wait-ms") == b"23"
    assert len(got.all(b"date")) == 1


@pytest.mark.parametrize("status", [b"201 Created", b"302 Found", b"404 Not Found", b"418 I'm a teapot", b"500 Oops"])
async def test_every_status_of_the_engine_passes(served: Served, upstream: Upstream, status: bytes) -> None:
    upstream.handler = upstream.reply(answer(b"text", b"location: /elsewhere", status=status))
    got = await (await served.raw()).ask(post(CHAT))
    assert (got.status, got.body) == (int(status[:3]), b"text")
    assert len(upstream.received) == 1


@pytest.mark.parametrize(
    ("status", "extra"), [(b"204 No Content", b"x-a: b"), (b"304 Not Modified", b"content-length: 99")]
)
async def test_answer_that_cannot_have_a_body_ends_at_its_head(
    served: Served, upstream: Upstream, status: bytes, extra: bytes
) -> None:
    upstream.handler = upstream.reply(b"HTTP/1.1 " + status + b"\r\n" + extra + b"\r\n\r\n")
    client = await served.raw()
    got = await client.ask(post(CHAT))
    assert got.status == int(status[:3])
    assert (await client.ask(post(CHAT))).status == got.status


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/chat/completions",
        b"/v1/completions?beta=true&x=%20%2F",
        b"/v1/responses",
        b"/v1/embeddings",
        b"/v1/rerank",
        b"/v1/messages?a=b%26",
        b"/v1/odd/%41%2f..//./x;y=z",
    ],
)
async def test_path_and_query_pass_unchanged(served: Served, upstream: Upstream, target: bytes) -> None:
    assert (await (await served.raw()).ask(post(CHAT, path=target))).status == 200
    assert upstream.received[0].target == target


@pytest.mark.parametrize(
    ("path", "engine_path"),
    [
        (b"/models/m/tokenize", b"/tokenize"),
        (b"/models/alias/metrics?a=1", b"/metrics?a=1"),
        (b"/models/m", b"/"),
        (b"/models/org/name/x", b"/x"),
        (b"/models/org%2Fname/x%2Fy", b"/x%2Fy"),
        (b"/models/org/x", b"/x"),
    ],
)
async def test_any_path_of_an_engine_is_reached_by_model(
    served: Served, upstream: Upstream, fleet: Fleet, path: bytes, engine_path: bytes
) -> None:
    fleet.aliases = {"m": ["alias"], "org": [], "org/name": []}
    client = await served.raw()
    assert (await client.ask(post(b"\x00not json", path=path))).status == 200
    assert upstream.received[0].target == engine_path
    assert upstream.received[0].body == b"\x00not json"


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PUT", "PATCH"])
async def test_every_method_passes(served: Served, upstream: Upstream, method: str) -> None:
    async with served.http.request(method, "/models/m/slots/0") as got:
        assert got.status == 200
        assert await got.read() == b'{"ok":true}'
    assert upstream.received[0].line == f"{method} /slots/0 HTTP/1.1".encode()


async def test_head_answer_keeps_its_length_and_has_no_body(served: Served, upstream: Upstream) -> None:
    upstream.handler = upstream.reply(b"HTTP/1.1 200 OK\r\ncontent-length: 77\r\n\r\n")
    client = await served.raw()
    for _ in range(2):
        await client.send(b"HEAD /v1/files/1 HTTP/1.1\r\nhost: x\r\n\r\n")
        got = await client.answer(method="HEAD")
        assert got.one(b"content-length") == b"77"


@on_one_gateway
@given(body=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=8), chunked_coding=st.booleans())
async def test_any_request_body_arrives_as_it_was_sent(
    served: Served, upstream: Upstream, body: bytes, cuts: list[int], chunked_coding: bool
) -> None:
    pieces = _cut(body, cuts)
    client = await served.raw()
    framing = b"transfer-encoding: chunked" if chunked_coding else b"content-length: %d" % len(body)
    await client.send(b"POST /models/m/x HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n\r\n")
    for piece in pieces:
        await client.send(chunked(piece) if chunked_coding else piece)
    if chunked_coding:
        await client.send(b"0\r\n\r\n")

    assert (await client.answer()).status == 200

    assert upstream.received[-1].body == body
    assert upstream.received[-1].one(b"content-length") == b"%d" % len(body)
    client.close()


@on_one_gateway
@given(body=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=8), chunked_coding=st.booleans())
async def test_any_answer_arrives_as_the_engine_sent_it(
    served: Served, upstream: Upstream, body: bytes, cuts: list[int], chunked_coding: bool
) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        if chunked_coding:
            writer.write(SSE_HEAD)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
        for piece in _cut(body, cuts):
            writer.write(chunked(piece) if chunked_coding else piece)
            await writer.drain()
            await asyncio.sleep(0)
        if chunked_coding:
            writer.write(b"0\r\n\r\n")

    upstream.handler = handler
    client = await served.raw()
    for _ in range(2):  # the connection is usable afterwards
        got = await client.ask(post(CHAT))
        assert (got.body, got.complete) == (body, True)
    client.close()


def _cut(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    return [body[start:end] for start, end in itertools.pairwise(places)]


async def test_compressed_bodies_stay_compressed(served: Served, upstream: Upstream) -> None:
    packed = gzip.compress(b'{"hello": "world"}')
    upstream.handler = upstream.reply(answer(packed, b"content-encoding: gzip", b"content-type: application/json"))
    client = await served.raw()
    got = await client.ask(post(CHAT, b"accept-encoding: gzip"))
    assert got.body == packed
    assert got.one(b"content-encoding") == b"gzip"
    assert upstream.received[0].one(b"accept-encoding") == b"gzip"


async def test_large_body_passes_both_ways(served: Served, upstream: Upstream) -> None:
    body = b'{"model":"m","image":"' + b"\xc3\xa9" * 3_000_000 + b'"}'

    async def echo(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request.body))

    upstream.handler = echo
    got = await (await served.raw()).ask(post(body))
    assert got.body == body


async def test_expectation_is_answered_by_the_gateway_and_not_passed_on(served: Served, upstream: Upstream) -> None:
    client = await served.raw()
    await client.send(
        b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(CHAT)
    )
    assert (await client.head())[0] == 100
    await client.send(CHAT)
    assert (await client.answer()).status == 200
    assert upstream.received[0].one(b"expect") is None


async def test_hop_by_hop_headers_stay_on_their_hop(served: Served, upstream: Upstream) -> None:
    upstream.handler = upstream.reply(
        b"HTTP/1.1 200 OK\r\nconnection: x-hop, close\r\nx-hop: 1\r\nkeep-alive: timeout=9\r\nproxy-authenticate: a\r\n"
        b"trailer: x-t\r\nx-stays: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-t: 1\r\n\r\n"
    )
    client = await served.raw()

    got = await client.ask(
        post(CHAT, b"Connection: X-Private, keep-alive", b"X-Private: 1", b"TE: trailers", b"Upgrade: foo", b"Keep: 1")
    )

    sent = {name for name, _ in upstream.received[0].headers}
    assert sent == {b"host", b"x-request-id", b"content-length", b"keep"}
    names = {name for name, _ in got.headers}
    assert not names & {b"x-hop", b"keep-alive", b"proxy-authenticate", b"trailer", b"x-t", b"connection"}
    assert got.one(b"x-stays") == b"1"
    assert got.body == b"ab"


async def test_trailers_of_a_request_do_not_become_headers(served: Served, upstream: Upstream) -> None:
    client = await served.raw()
    await client.send(
        b"POST /v1/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunked(CHAT)
        + b"0\r\nx-smuggled: 1\r\nx-glowplug-model: other\r\n\r\n"
    )
    assert (await client.answer()).status == 200
    assert upstream.received[0].one(b"x-smuggled") is None


async def test_connection_serves_request_after_request(served: Served, upstream: Upstream) -> None:
    client = await served.raw()
    for _ in range(3):
        assert (await client.ask(post(CHAT))).status == 200
    assert len(upstream.received) == 3
    assert upstream.connections == 1


async def test_pipelined_requests_are_answered_in_order(served: Served, upstream: Upstream) -> None:
    async def echo(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request.target))

    upstream.handler = echo
    client = await served.raw()
    await client.send(b"".join(post(CHAT, path=b"/v1/%d" % number) for number in range(5)))
    assert [(await client.answer()).body for _ in range(5)] == [b"/v1/%d" % number for number in range(5)]


async def test_client_that_offers_another_protocol_is_answered_in_http_1(served: Served, upstream: Upstream) -> None:
    client = await served.raw()
    offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAA", b"x-kept: 1")
    for _ in range(2):
        await client.send(post(CHAT, *offer)[:-5])
        await client.send(post(CHAT, *offer)[-5:])
        assert (await client.answer()).status == 200
    for request in upstream.received:
        assert request.body == CHAT
        assert {name for name, _ in request.headers} == {b"host", b"x-kept", b"x-request-id", b"content-length"}


async def test_tunnel_is_refused(served: Served) -> None:
    client = await served.raw()
    got = await client.ask(b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n")
    assert got.status == 405
    assert await client.at_end()


async def test_close_asked_for_by_the_client_is_honoured(served: Served) -> None:
    client = await served.raw()
    assert (await client.ask(post(CHAT, b"connection: close"))).complete
    assert await client.at_end()


async def test_answers_come_while_the_engine_still_works_on_others(served: Served, upstream: Upstream) -> None:
    release = asyncio.Event()

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        if request.target == b"/v1/slow":
            await release.wait()
        writer.write(answer(request.target))

    upstream.handler = handler
    slow, fast = await served.raw(), await served.raw()
    await slow.send(post(CHAT, path=b"/v1/slow"))
    await asyncio.wait_for(upstream.arrived.acquire(), WAIT)
    assert (await fast.ask(post(CHAT, path=b"/v1/fast"))).body == b"/v1/fast"
    release.set()
    assert (await slow.answer()).body == b"/v1/slow"


async def test_broken_answer_with_requests_in_the_pipe_ends_the_connection(served: Served, upstream: Upstream) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunked(b"half"))
        await writer.drain()
        writer.close()

    upstream.handler = handler
    client = await served.raw()
    await client.send(post(CHAT) + post(CHAT))
    got = await client.answer()
    assert (got.body, got.complete) == (b"half", False)
    assert len(upstream.received) == 1


async def test_running_out_of_file_descriptors_is_said_and_not_blamed_on_the_engine(
    served: Served, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", refuse)
    client = await served.raw()
    await client.send(post(CHAT))
    status, _ = await client.head()
    assert status == 503
    assert [record.outcome for record in fleet.records] == ["left"]
