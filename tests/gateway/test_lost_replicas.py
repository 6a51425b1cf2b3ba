"""Engines that go away before they answer: the request goes to another replica, within its deadline."""

import asyncio
import socket

import pytest

from tests.gateway.conftest import Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, STREAM, post
from tests.gateway.upstream import Received, Upstream


@pytest.fixture
def nobody() -> str:
    """An address that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("lost", [1, 2])
async def test_request_is_given_to_another_replica(
    served: Served, upstream: Upstream, fleet: Fleet, nobody: str, lost: int
) -> None:
    fleet.addresses = [nobody] * lost + [upstream.address]
    fleet.waited = 0.5
    got = await (await served.raw()).ask(post(CHAT))
    assert got.status == 200
    assert [record.outcome for record in fleet.records] == ["lost"] * lost + ["served"]
    assert upstream.received[0].body == CHAT
    assert got.one(b"x-glowplug-wait-ms") == b"%d" % (500 * (lost + 1))


async def test_replica_that_closes_before_its_answer_is_lost_too(
    served: Served, upstream: Upstream, fleet: Fleet
) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        if len(upstream.received) == 1:
            writer.close()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    upstream.handler = handler
    assert (await (await served.raw()).ask(post(CHAT))).body == b"ok"
    assert [record.outcome for record in fleet.records] == ["lost", "served"]


async def test_replica_that_resets_in_the_middle_of_the_head_is_lost_too(
    served: Served, upstream: Upstream, fleet: Fleet
) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        if len(upstream.received) == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nconte")
            await writer.drain()
            writer.transport.abort()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    upstream.handler = handler
    assert (await (await served.raw()).ask(post(CHAT))).body == b"ok"
    assert [record.outcome for record in fleet.records] == ["lost", "served"]


async def test_third_loss_is_502(served: Served, fleet: Fleet, nobody: str) -> None:
    fleet.addresses = [nobody]
    got = await (await served.raw()).ask(post(CHAT))
    assert got.status == 502
    error = got.json()["error"]
    assert error["code"] == "replica_lost"
    assert "m failed: the engine refused the connection" in error["message"]
    assert error["message"].endswith("Tried 3 times.")
    assert [record.outcome for record in fleet.records] == ["lost"] * 3


async def test_every_attempt_counts_against_the_same_deadline(served: Served, fleet: Fleet, nobody: str) -> None:
    fleet.addresses = [nobody]
    await (await served.raw()).ask(post(STREAM, b"x-glowplug-timeout: 5"))
    first, second, third = [record.timeout or 0 for record in fleet.records]
    assert 5 == first > second > third > 0
