"""What the gateway answers itself: models, probes, metrics, events, the status page."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from glowplug.gateway.events import event_stream
from glowplug.scheduler.values import Tier
from tests.gateway.conftest import Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, WAIT, post
from tests.gateway.upstream import Upstream, answer


async def test_all_configured_models_are_listed_for_openai_clients(served: Served, fleet: Fleet) -> None:
    fleet.aliases = {"m": ["alias"], "org/big": []}
    async with served.http.get("/v1/models") as got:
        listed = await got.json()
    assert listed["object"] == "list"
    assert [(model["id"], model["object"], model["owned_by"]) for model in listed["data"]] == [
        ("m", "model", "glowplug"),
        ("org/big", "model", "glowplug"),
    ]
    assert listed["data"][0]["glowplug"] == {
        "tier": "parked",
        "replicas": 1,
        "last_wake": {"from": "parked", "seconds": 0.02},
    }
    for path, expected in (("m", 0), ("alias", 0), ("org/big", 1)):
        async with served.http.get(f"/v1/models/{path}") as got:
            assert await got.json() == listed["data"][expected]
    async with served.http.get("/v1/models/nope") as got:
        assert got.status == 404
        assert "configured: m, org/big" in (await got.json())["error"]["message"]


@pytest.mark.parametrize(("ready", "readyz", "ping"), [(True, 200, 200), (False, 503, 204)])
async def test_probes_tell_whether_traffic_is_welcome(
    served: Served, fleet: Fleet, ready: bool, readyz: int, ping: int
) -> None:
    fleet.is_ready = ready
    for path, status in (("/healthz", 200), ("/readyz", readyz), ("/ping", ping)):
        async with served.http.get(path) as got:
            assert got.status == status


async def _metrics(served: Served) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    async with served.http.get("/metrics") as got:
        assert got.headers["content-type"].startswith("text/plain; version=0.0.4")
        text = await got.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_model_and_status(served: Served, upstream: Upstream, fleet: Fleet) -> None:
    fleet.woke_from, fleet.waited = Tier.PARKED, 0.3
    client = await served.raw()
    await client.ask(post(b'{"model":"alias"}'))
    upstream.handler = upstream.reply(answer(b"", status=b"503 No"))
    await client.ask(post(CHAT))
    await client.ask(post(b'{"model":"unknown"}'))

    metrics = await _metrics(served)
    counted = {labels: value for (name, labels), value in metrics.items() if name == "glowplug_requests_total"}
    assert counted == {(("model", "m"), ("status", "200")): 1, (("model", "m"), ("status", "503")): 1}
    assert metrics["glowplug_upstream_seconds_count", (("model", "m"),)] == 2
    assert metrics["glowplug_wait_seconds_sum", (("model", "m"), ("woke_from", "parked"))] == pytest.approx(0.6)


async def test_client_that_left_is_counted_as_499(served: Served, fleet: Fleet) -> None:
    fleet.open.clear()
    client = await served.raw()
    await client.send(post(CHAT))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)
    client.close()
    await asyncio.wait_for(fleet.records[0].ended.wait(), WAIT)
    assert (await _metrics(served))["glowplug_requests_total", (("model", "m"), ("status", "499"))] == 1


async def test_fleet_is_measured_when_it_is_asked_for(served: Served, fleet: Fleet) -> None:
    (view,) = fleet.models()
    (replica,) = view.replicas
    others = tuple(
        replace(replica, id=f"m-{number}", state=state, memory={"ram": number, "gpu": 5})
        for number, state in ((2, "running"), (3, "waking:parked"), (4, "resting:cached"))
    )
    fleet.views = [replace(view, replicas=(replica, *others), snapshot={"ram": 0, "gpu": 0, "disk": 900})]
    fleet.image_memory = 800
    metrics = await _metrics(served)
    assert metrics["glowplug_queue_requests", (("model", "m"),)] == 3
    assert metrics["glowplug_requests_in_flight", (("model", "m"),)] == 2
    held = {labels: value for (name, labels), value in metrics.items() if name == "glowplug_memory_bytes"}
    assert held[("kind", "ram"), ("tier", "parked")] == 1003
    assert held[("kind", "ram"), ("tier", "running")] == 2
    assert held[("kind", "gpu"), ("tier", "cached")] == 5
    assert held[("kind", "disk"), ("tier", "snapshot")] == 900
    assert held[("kind", "ram"), ("tier", "snapshot")] == 800


async def test_wakes_are_counted_as_the_cluster_reports_them(served: Served, fleet: Fleet) -> None:
    wake: dict[str, Any] = {"type": "wake", "model": "m", "replica": "m-1", "reason": None}
    fleet.tell(type="tier", replica="m-1", model="m", before="parked", after="waking:parked", seconds=None)
    fleet.tell(**wake, tier="parked", outcome="ok", seconds=0.02)
    fleet.tell(**wake, tier="parked", outcome="ok", seconds=0.04)
    fleet.tell(**wake, tier="cached", outcome="failed", seconds=3)
    metrics = await _metrics(served)
    ok = (("model", "m"), ("outcome", "ok"), ("tier", "parked"))
    failed = (("model", "m"), ("outcome", "failed"), ("tier", "cached"))
    assert (metrics["glowplug_wakes_total", ok], metrics["glowplug_wakes_total", failed]) == (2, 1)
    assert metrics["glowplug_wake_seconds_sum", ok] == pytest.approx(0.06)
    assert metrics["glowplug_wake_seconds_count", failed] == 1


async def test_process_is_measured_too(served: Served) -> None:
    metrics = await _metrics(served)
    assert metrics["process_open_fds", ()] > 0
    assert ("python_gc_collections_total", (("generation", "0"),)) in metrics


async def test_events_are_streamed_as_they_happen(served: Served, fleet: Fleet) -> None:
    async with served.http.get("/glowplug/v1/events") as got:
        assert got.content_type == "text/event-stream"
        lines = got.content
        assert await asyncio.wait_for(lines.readuntil(b"\n\n"), WAIT) == b": glowplug events\n\n"
        fleet.tell(type="tier", model="m", after="parked", seconds=0.5)
        assert await asyncio.wait_for(lines.readuntil(b"\n\n"), WAIT) == (
            b'event: tier\ndata: {"type":"tier","model":"m","after":"parked","seconds":0.5}\n\n'
        )
        listening = len(fleet.listeners)
    # The client left: its listener goes too.
    async with asyncio.timeout(WAIT):
        while len(fleet.listeners) == listening:
            await asyncio.sleep(0)


async def test_silent_events_have_a_heartbeat(fleet: Fleet) -> None:
    stream = event_stream(fleet.events(), asyncio.Event(), heartbeat=0.01)
    assert await anext(stream) == b": glowplug events\n\n"
    for _ in range(2):
        assert await asyncio.wait_for(anext(stream), WAIT) == b": heartbeat\n\n"
    fleet.tell(type="wake", model="m")
    while (part := await asyncio.wait_for(anext(stream), WAIT)) == b": heartbeat\n\n":
        pass
    assert part == b'event: wake\ndata: {"type":"wake","model":"m"}\n\n'


@pytest.mark.parametrize("path", ["events", "replicas/m-1/logs?follow=true"])
async def test_endless_streams_end_when_the_server_does(served: Served, path: str) -> None:
    async with served.http.get(f"/glowplug/v1/{path}") as got:
        await asyncio.wait_for(got.content.readline(), WAIT)
        served.gateway.stop_accepting()
        await asyncio.wait_for(got.content.read(), WAIT)


async def test_status_page_shows_every_model_and_runs_nothing_it_was_told(served: Served, fleet: Fleet) -> None:
    (view,) = fleet.models()
    fleet.views = [
        replace(view, name="<script>alert(1)</script>", engine='"&', last_wake={"<b>": "<i>"}, quarantine={"<": ">"}),
        replace(view, name="plain", last_wake=None),
    ]
    async with served.http.get("/") as got:
        page = await got.text()
        policy = got.headers["content-security-policy"]
    assert got.content_type == "text/html"
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>" not in page and "<i>" not in page
    assert "plain" in page and "never" in page
    # Nothing is loaded from elsewhere, and the policy allows just what the page itself holds.
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert policy.startswith("default-src 'none'")
    assert policy.count("'sha256-") == 2


async def test_status_page_policy_matches_its_script_and_style(served: Served) -> None:
    import base64
    import hashlib

    async with served.http.get("/") as got:
        page, policy = await got.text(), got.headers["content-security-policy"]
    for tag in ("script", "style"):
        source = page.split(f"<{tag}>")[1].split(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
