"""Requests that wait: for a model to wake, for the deadline, or until the client gives up."""

import asyncio
import json
from email.utils import parsedate_to_datetime

import pytest

from glowplug.cluster.base import Rejected
from glowplug.scheduler.effects import RejectKind
from glowplug.scheduler.values import Attempt, Tier
from tests.gateway.conftest import Serve, Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, STREAM, WAIT, RawClient, post
from tests.gateway.upstream import SSE_HEAD, Upstream, answer, chunked


async def test_request_is_held_until_its_model_runs(served: Served, upstream: Upstream, fleet: Fleet) -> None:
    fleet.open.clear()
    fleet.woke_from, fleet.waited = Tier.PARKED, 1.2
    client = await served.raw()
    await client.send(post(CHAT))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)
    assert upstream.received == []

    fleet.open.set()

    got = await client.answer()
    assert got.one(b"x-glowplug-woke-from") == b"parked"
    assert got.one(b"x-glowplug-wait-ms") == b"1200"
    assert fleet.records[0].outcome == "served"


async def test_date_of_a_held_answer_is_when_it_is_sent(served: Served, fleet: Fleet) -> None:
    fleet.open.clear()
    held, other = await served.raw(), await served.raw()
    await held.send(post(CHAT))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)

    async def now() -> bytes | None:
        return (await other.ask(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")).one(b"date")

    first = newest = await now()
    async with asyncio.timeout(WAIT):
        while newest == first:
            await asyncio.sleep(0.02)
            newest = await now()
    fleet.open.set()

    date = (await held.answer()).one(b"date")
    assert date and newest
    assert parsedate_to_datetime(date.decode()) >= parsedate_to_datetime(newest.decode())


@pytest.mark.parametrize("body", [CHAT, b'{"model":"m","image":"' + b"x" * 300_000 + b'"}'])
@pytest.mark.parametrize("leave", [RawClient.close, RawClient.abort])
async def test_client_that_leaves_while_waiting_leaves_the_queue(
    served: Served, upstream: Upstream, fleet: Fleet, body: bytes, leave: object
) -> None:
    fleet.open.clear()
    client = await served.raw()
    await client.send(post(body))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)

    leave(client)  # type: ignore[operator]

    await asyncio.wait_for(fleet.records[0].ended.wait(), WAIT)
    assert (fleet.records[0].outcome, fleet.records[0].entered) == ("left", False)
    assert upstream.received == []


async def test_client_that_leaves_with_requests_in_the_pipe_takes_all_of_them_along(
    served: Served, fleet: Fleet
) -> None:
    fleet.open.clear()
    client = await served.raw()
    await client.send(post(CHAT))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)
    await client.send(post(CHAT))
    (connection,) = served.connections
    connection.transport.abort()
    await asyncio.wait_for(fleet.records[0].ended.wait(), WAIT)
    fleet.open.set()
    assert (await (await served.raw()).ask(post(CHAT))).status == 200
    assert [record.outcome for record in fleet.records] == ["left", "served"]


@pytest.mark.parametrize(
    ("header", "expected"), [(b"x-a: b", 300.0), (b"x-glowplug-timeout: 2.5", 2.5), (b"X-Glowplug-Timeout: 9999", 300)]
)
async def test_client_may_wait_shorter_but_not_longer(
    served: Served, fleet: Fleet, upstream: Upstream, header: bytes, expected: float
) -> None:
    await (await served.raw()).ask(post(CHAT, header))
    assert fleet.records[0].timeout == expected
    assert upstream.received[0].one(b"x-glowplug-timeout") is None


@pytest.mark.parametrize("value", [b"soon", b"0", b"-1", b"nan", b""])
async def test_timeout_that_is_no_number_of_seconds_is_400(served: Served, fleet: Fleet, value: bytes) -> None:
    got = await (await served.raw()).ask(post(CHAT, b"x-glowplug-timeout: " + value))
    assert got.status == 400
    assert "x-glowplug-timeout" in got.json()["error"]["message"]
    assert fleet.records == []


async def test_deadline_that_passes_is_504(served: Served, fleet: Fleet) -> None:
    fleet.open.clear()
    got = await (await served.raw()).ask(post(CHAT, b"x-glowplug-timeout: 0.01"))
    assert got.status == 504
    assert got.json()["error"] == {
        "message": "m did not wake within 0.01 s.",
        "type": "timeout_error",
        "param": None,
        "code": "deadline_exceeded",
    }


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (RejectKind.UNKNOWN_MODEL, 404),
        (RejectKind.QUEUE_FULL, 429),
        (RejectKind.DEADLINE, 504),
        (RejectKind.WAKE_FAILED, 503),
        (RejectKind.QUARANTINED, 503),
        (RejectKind.TOO_LARGE, 503),
        (RejectKind.SHUTTING_DOWN, 503),
    ],
)
async def test_rejection_becomes_the_answer(served: Served, fleet: Fleet, kind: RejectKind, status: int) -> None:
    again = (Attempt(Tier.CACHED, "it exited with code 1."),) * 3
    tried = (Attempt(Tier.PARKED, "it did not thaw"), *again)
    fleet.rejection = Rejected(kind, "No luck.", 2.1, tried)
    client = await served.raw()

    got = await client.ask(post(CHAT))
    assert got.status == status
    assert got.one(b"retry-after") == b"3"
    assert got.json()["error"]["message"] == (
        "No luck. Tried parked: it did not thaw; cached: it exited with code 1 (3 times)."
    )

    got = await client.ask(post(CHAT, path=b"/v1/messages"))
    assert got.status == status
    assert got.json()["type"] == "error"
    assert got.json()["error"]["message"].startswith("No luck.")


async def test_rejection_without_a_time_has_no_retry_after(served: Served, fleet: Fleet) -> None:
    fleet.rejection = Rejected(RejectKind.WAKE_FAILED, "No luck.")
    assert (await (await served.raw()).ask(post(CHAT))).one(b"retry-after") is None


async def _held_stream(served: Served, fleet: Fleet, request: bytes) -> RawClient:
    """A client that has seen the head of the gateway's event stream and two comments."""
    fleet.open.clear()
    client = await served.raw()
    await client.send(request)
    status, headers = await client.head()
    assert status == 200
    assert (b"content-type", b"text/event-stream; charset=utf-8") in headers
    assert (b"x-glowplug-model", b"m") in headers
    for _ in range(2):
        assert await client.chunk() == b": glowplug waking m\n\n"
    return client


async def _rest(client: RawClient) -> bytes:
    """The body after the comments, up to its proper end."""
    body = b""
    while part := await client.chunk():
        body += part
    return body.replace(b": glowplug waking m\n\n", b"")


async def test_heartbeat_keeps_a_waiting_stream_open(serve: Serve, upstream: Upstream, fleet: Fleet) -> None:
    served = await serve(heartbeat=0.01)
    upstream.handler = upstream.reply(SSE_HEAD + chunked(b"data: 1\n\n", b"data: [DONE]\n\n") + b"0\r\n\r\n")
    client = await _held_stream(served, fleet, post(STREAM))
    fleet.open.set()
    assert await _rest(client) == b"data: 1\n\ndata: [DONE]\n\n"
    assert (await client.ask(post(CHAT))).status == 200


async def test_heartbeat_is_for_those_who_accept_events(serve: Serve, fleet: Fleet) -> None:
    served = await serve(heartbeat=0.01)
    await _held_stream(served, fleet, post(CHAT, b"accept: text/event-stream"))


async def test_client_without_a_stream_gets_no_heartbeat(serve: Serve, fleet: Fleet, upstream: Upstream) -> None:
    served = await serve(heartbeat=0.01)
    fleet.open.clear()
    client, other = await served.raw(), await served.raw()
    await client.send(post(CHAT))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)
    # A stream that waits beside it gets several; then the first still has none.
    await other.send(post(STREAM))
    await other.head()
    for _ in range(3):
        await other.chunk()
    fleet.open.set()
    assert (await client.answer()).json() == {"ok": True}


async def test_no_heartbeat_for_a_model_that_runs(serve: Serve, upstream: Upstream) -> None:
    served = await serve(heartbeat=0.01)
    upstream.handler = upstream.reply(answer(b"{}", status=b"422 Unprocessable"))
    assert (await (await served.raw()).ask(post(STREAM))).status == 422


async def test_rejection_after_a_heartbeat_is_an_error_event(serve: Serve, fleet: Fleet) -> None:
    served = await serve(heartbeat=0.01)
    client = await _held_stream(served, fleet, post(STREAM, b"x-glowplug-timeout: 0.1"))
    event = await _rest(client)
    assert event.startswith(b"data: ") and event.endswith(b"\n\n")
    assert json.loads(event[6:])["error"]["code"] == "deadline_exceeded"


async def test_rejection_after_a_heartbeat_is_an_anthropic_error_event(serve: Serve, fleet: Fleet) -> None:
    served = await serve(heartbeat=0.01)
    client = await _held_stream(served, fleet, post(STREAM, b"x-glowplug-timeout: 0.1", path=b"/v1/messages"))
    event = await _rest(client)
    assert event.startswith(b"event: error\ndata: ")
    assert json.loads(event.split(b"data: ")[1])["error"]["type"] == "timeout_error"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (answer(b'{"error":{"message":"too long","code":7}}', status=b"400 Bad"), {"message": "too long", "code": 7}),
        (
            answer(b"plain\ntext", status=b"500 Oops"),
            {"message": "plain\ntext", "type": "upstream_error", "param": None, "code": 500},
        ),
        (
            answer(b'{"choices":[]}', b"content-type: application/json"),
            {"message": '{"choices":[]}', "type": "upstream_error", "param": None, "code": 200},
        ),
    ],
)
async def test_engine_error_after_a_heartbeat_becomes_an_error_event(
    serve: Serve, upstream: Upstream, fleet: Fleet, reply: bytes, message: object
) -> None:
    served = await serve(heartbeat=0.01)
    upstream.handler = upstream.reply(reply)
    client = await _held_stream(served, fleet, post(STREAM))
    fleet.open.set()
    event = await _rest(client)
    assert event.count(b"\n") == 2
    assert json.loads(event.removeprefix(b"data: ")) == {"error": message}
