"""Requests of web pages that come from elsewhere: allowed by `server.cors_origins`, otherwise as if nobody asked."""

import asyncio

import pytest

from glowplug.config.apikeys import KeyEntry, digest
from tests.gateway.conftest import Serve, Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, STREAM, WAIT, RawAnswer, post
from tests.gateway.upstream import SSE_HEAD, Received, Upstream, answer, chunked

CHATTER = b"https://chat.example"
STRANGER = b"https://stranger.example"
FROM_CHATTER = b"origin: " + CHATTER
OWN_WORDS = (b"access-control-allow-origin:", b"access-control-allow-credentials: true")


def preflight(path: bytes = b"/v1/chat/completions", origin: bytes = CHATTER) -> bytes:
    """What a browser asks before it sends JSON and a key."""
    lines = [
        b"OPTIONS %b HTTP/1.1" % path,
        b"host: gateway",
        b"origin: " + origin,
        b"access-control-request-method: POST",
        b"access-control-request-headers: authorization,content-type,x-stainless-os",
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def get(path: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"host: gateway", *headers]) + b"\r\n\r\n"


def cors_of(got: RawAnswer) -> dict[bytes, bytes]:
    found = [(name, value) for name, value in got.headers if name.startswith(b"access-control-")]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.fixture
async def open_to_chatter(serve: Serve) -> Served:
    return await serve(cors_origins=[CHATTER.decode()])


@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/models/m/tokenize", b"/v1/models", b"/models/nope/x"])
async def test_preflight_needs_no_key_and_wakes_nothing(
    serve: Serve, fleet: Fleet, upstream: Upstream, path: bytes
) -> None:
    served = await serve({digest("secret"): KeyEntry("a", None)}, cors_origins=[CHATTER.decode()])
    fleet.open.clear()
    got = await (await served.raw()).ask(preflight(path))
    assert (got.status, got.body) == (204, b"")
    assert cors_of(got) == {
        b"access-control-allow-origin": CHATTER,
        b"access-control-allow-methods": b"GET, HEAD, POST, PUT, PATCH, DELETE",
        b"access-control-allow-headers": b"authorization,content-type,x-stainless-os",
        b"access-control-max-age": b"7200",
    }
    assert got.all(b"vary") == [b"Origin, Access-Control-Request-Headers"]
    assert (fleet.records, upstream.received) == ([], [])


async def test_preflight_without_own_headers_is_allowed_none(open_to_chatter: Served) -> None:
    asked = preflight().replace(b"access-control-request-headers", b"x-other")
    got = await (await open_to_chatter.raw()).ask(asked)
    assert got.status == 204
    assert b"access-control-allow-headers" not in cors_of(got)


async def test_preflight_of_a_stranger_is_refused_without_a_wake(open_to_chatter: Served, fleet: Fleet) -> None:
    got = await (await open_to_chatter.raw()).ask(preflight(origin=STRANGER))
    assert (got.status, got.json()["error"]["code"]) == (403, "cross_origin")
    assert "https://stranger.example" in got.json()["error"]["message"]
    assert cors_of(got) == {}
    assert fleet.records == []


async def test_options_that_are_no_preflight_go_to_the_engine(open_to_chatter: Served, upstream: Upstream) -> None:
    asked = preflight().replace(b"access-control-request-method", b"x-other")
    got = await (await open_to_chatter.raw()).ask(asked)
    assert (got.status, upstream.received[0].method) == (200, b"OPTIONS")
    assert cors_of(got)[b"access-control-allow-origin"] == CHATTER


async def test_an_answer_lets_the_page_read_it_whatever_the_engine_says(
    open_to_chatter: Served, upstream: Upstream
) -> None:
    upstream.handler = upstream.reply(answer(b"{}", *OWN_WORDS, b"Access-Control-Max-Age: 1", b"vary: accept"))
    got = await (await open_to_chatter.raw()).ask(post(CHAT, FROM_CHATTER))
    cors = cors_of(got)
    assert cors.keys() == {b"access-control-allow-origin", b"access-control-expose-headers"}
    assert cors[b"access-control-allow-origin"] == CHATTER
    exposed = set(cors[b"access-control-expose-headers"].split(b", "))
    ours = {name for name, _ in got.headers if name.startswith(b"x-glowplug-")}
    assert len(ours) == 3
    assert exposed == {*ours, b"x-request-id", b"retry-after"}
    assert got.all(b"vary") == [b"accept", b"Origin"]


async def test_a_stream_lets_the_page_read_it_as_it_comes(open_to_chatter: Served, upstream: Upstream) -> None:
    go_on = asyncio.Event()

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunked(b"data: 1\n\n"))
        await go_on.wait()
        writer.write(chunked(b"data: 2\n\n") + b"0\r\n\r\n")

    upstream.handler = handler
    client = await open_to_chatter.raw()
    await client.send(post(STREAM, FROM_CHATTER))
    _, headers = await client.head()
    assert (b"access-control-allow-origin", CHATTER) in headers
    assert await client.chunk() == b"data: 1\n\n"
    go_on.set()
    assert await client.chunk() == b"data: 2\n\n"


async def test_a_heartbeat_lets_the_page_read_it(serve: Serve, fleet: Fleet) -> None:
    served = await serve(cors_origins=[CHATTER.decode()], heartbeat=0.01)
    fleet.open.clear()
    client = await served.raw()
    await client.send(post(STREAM, FROM_CHATTER))
    _, headers = await client.head()
    assert (b"access-control-allow-origin", CHATTER) in headers


async def test_errors_can_be_read_by_the_page(serve: Serve, fleet: Fleet) -> None:
    served = await serve({digest("secret"): KeyEntry("a", None)}, cors_origins=[CHATTER.decode()])
    client = await served.raw()
    key = b"authorization: Bearer secret"
    unauthorized = await client.ask(post(CHAT, FROM_CHATTER))
    unknown = await client.ask(post(b'{"model":"nope"}', FROM_CHATTER, key))
    assert (unauthorized.status, unknown.status) == (401, 404)
    for got in (unauthorized, unknown):
        assert cors_of(got)[b"access-control-allow-origin"] == CHATTER


async def test_the_list_of_models_can_be_read_by_the_page(open_to_chatter: Served) -> None:
    got = await (await open_to_chatter.raw()).ask(get(b"/v1/models", FROM_CHATTER))
    assert cors_of(got)[b"access-control-allow-origin"] == CHATTER


@pytest.mark.parametrize("origin", [b"origin: " + STRANGER, b"origin: null", b"x-no: origin"])
async def test_an_answer_to_anybody_else_is_served_and_allows_nothing(
    open_to_chatter: Served, upstream: Upstream, origin: bytes
) -> None:
    upstream.handler = upstream.reply(answer(b"{}", b"access-control-allow-origin: *"))
    got = await (await open_to_chatter.raw()).ask(post(CHAT, origin))
    assert (got.status, cors_of(got)) == (200, {})
    assert got.all(b"vary") == [b"Origin"]


@pytest.mark.parametrize("origin", [b"origin: " + STRANGER, b"origin: null", b"x-no: origin"])
async def test_a_star_lets_every_page_read(serve: Serve, origin: bytes) -> None:
    served = await serve(cors_origins=["https://chat.example", "*"])
    got = await (await served.raw()).ask(post(CHAT, origin))
    assert cors_of(got)[b"access-control-allow-origin"] == b"*"
    assert cors_of(await (await served.raw()).ask(preflight(origin=STRANGER)))[b"access-control-allow-origin"] == b"*"


@pytest.mark.parametrize("path", [b"/glowplug/v1/models", b"/metrics", b"/"])
async def test_what_is_not_for_clients_of_models_stays_same_origin(serve: Serve, path: bytes) -> None:
    served = await serve(cors_origins=["*"])
    client = await served.raw()
    assert cors_of(await client.ask(get(path, FROM_CHATTER))) == {}
    got = await client.ask(preflight(path))
    assert (got.status, cors_of(got)) == (405, {})


async def test_commands_of_allowed_pages_to_the_admin_api_are_refused_too(serve: Serve, fleet: Fleet) -> None:
    served = await serve(cors_origins=["*"])
    got = await (await served.raw()).ask(post(b"", FROM_CHATTER, path=b"/glowplug/v1/models/m/wake"))
    assert (got.status, fleet.calls) == (403, [])


async def test_without_the_setting_all_is_between_page_and_engine(served: Served, upstream: Upstream) -> None:
    upstream.handler = upstream.reply(answer(b"{}", *OWN_WORDS))
    client = await served.raw()
    got = await client.ask(post(CHAT, FROM_CHATTER))
    assert cors_of(got) == {b"access-control-allow-origin": b"", b"access-control-allow-credentials": b"true"}
    assert got.all(b"vary") == []
    assert (await client.ask(preflight())).status == 200
    assert await asyncio.wait_for(upstream.arrived.acquire(), WAIT)
    assert upstream.received[1].method == b"OPTIONS"
