"""The admin API, and its description."""

import asyncio
from typing import Any

import jsonschema
import pytest

from glowplug.artifacts.catalog import Problem
from glowplug.cluster.base import Rejected
from glowplug.gateway.admin import PREFIX, Admin
from glowplug.gateway.openapi import openapi_document
from glowplug.node.snapshot_views import SnapshotListing, SnapshotView
from glowplug.scheduler.effects import RejectKind
from glowplug.scheduler.values import Attempt, Tier
from tests.gateway.conftest import Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import WAIT


async def _get(served: Served, path: str, status: int = 200) -> Any:
    async with served.http.get(PREFIX + path) as got:
        assert got.status == status
        return await got.json()


async def _post(served: Served, path: str, status: int = 200, **more: Any) -> Any:
    async with served.http.post(PREFIX + path, **more) as got:
        assert got.status == status
        return await got.json()


def _schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": openapi_document()["components"]}


async def test_models_are_shown_as_the_cluster_sees_them(served: Served, fleet: Fleet) -> None:
    fleet.aliases = {"m": ["alias"], "org/big": []}
    models = (await _get(served, "/models"))["models"]
    assert [model["name"] for model in models] == ["m", "org/big"]
    assert models[0] == {
        "name": "m",
        "engine": "fake",
        "aliases": ["alias"],
        "tier": "parked",
        "queued": 3,
        "in_flight": 2,
        "pin": False,
        "replicas": [
            {
                "id": "m-1",
                "model": "m",
                "state": "parked",
                "since": 1.5,
                "in_flight": 2,
                "address": "http://127.0.0.1:1",
                "pid": 42,
                "memory": {"ram": 1000, "gpu": 0},
            }
        ],
        "last_wake": {"from": "parked", "seconds": 0.02},
        "quarantine": {},
        "closed_tiers": {"snapshot": "CRIU is missing"},
        "snapshot": None,
    }
    assert await _get(served, "/models/alias") == models[0]
    assert await _get(served, "/models/org/big") == models[1]
    for model in models:
        jsonschema.validate(model, _schema("Model"))


async def test_replicas_of_all_models_are_listed(served: Served, fleet: Fleet) -> None:
    fleet.aliases = {"m": [], "org/big": []}
    replicas = (await _get(served, "/replicas"))["replicas"]
    assert [replica["id"] for replica in replicas] == ["m-1", "org/big-1"]


@pytest.mark.parametrize("name", ["m", "alias", "org/big"])
@pytest.mark.parametrize(
    ("action", "call"),
    [
        ("wake", ("wake",)),
        ("rest", ("rest", None)),
        ("rest?tier=parked", ("rest", Tier.PARKED)),
        ("restart", ("restart",)),
    ],
)
async def test_model_is_moved(served: Served, fleet: Fleet, name: str, action: str, call: tuple[Any, ...]) -> None:
    fleet.aliases = {"m": ["alias"], "org/big": []}
    answer = await _post(served, f"/models/{name}/{action}")
    model = fleet.resolve(name)
    assert fleet.calls == [(call[0], model, *call[1:])]
    assert (answer["model"], answer["tier"]) == (model, "parked")
    assert answer["seconds"] >= 0
    jsonschema.validate(answer, _schema("Move"))


async def test_a_snapshot_is_made_and_described(served: Served, fleet: Fleet) -> None:
    answer = await _post(served, "/models/alias/snapshot")
    assert fleet.calls == [("create_snapshot", "m")]
    assert answer == {
        "model": "m", "id": "ab" * 16, "raw_bytes": 2000, "stored_bytes": 1000, "pause": 0.5, "seconds": 61.5
    }  # fmt: skip
    jsonschema.validate(answer, _schema("SnapshotMade"))


async def test_why_no_snapshot_is_made_is_told(served: Served, fleet: Fleet) -> None:
    fleet.refusal = Rejected(RejectKind.REFUSED, "model 'm' is busy with 2 requests; try again when it is idle")
    answer = await _post(served, "/models/m/snapshot", 409)
    assert answer["error"]["code"] == "refused"
    assert answer["error"]["message"] == "model 'm' is busy with 2 requests; try again when it is idle"


async def test_snapshots_are_listed_with_what_is_wrong(served: Served, fleet: Fleet) -> None:
    assert await _get(served, "/snapshots") == {"snapshots": [], "problems": []}
    fleet.listing = SnapshotListing(
        (SnapshotView("ab" * 16, "m", "2026-11-24T01:02:03+00:00", 2, 1, "vllm", None, None, False, ("CRIU: 1, 2",)),),
        (Problem("cd" * 16, "The canary differs.", quarantined=True),),
    )
    listing = await _get(served, "/snapshots")
    (shown,), (problem,) = listing["snapshots"], listing["problems"]
    assert (shown["id"], shown["fits"], shown["why"]) == ("ab" * 16, False, ["CRIU: 1, 2"])
    assert problem == {"name": "cd" * 16, "reason": "The canary differs.", "quarantined": True}
    jsonschema.validate(shown, _schema("Snapshot"))
    jsonschema.validate(problem, _schema("SnapshotProblem"))
    fleet.refusal = Rejected(RejectKind.REFUSED, "The artifact store cannot be used.")
    assert (await _get(served, "/snapshots", 409))["error"]["message"] == "The artifact store cannot be used."


@pytest.mark.parametrize("action", ["wake", "rest", "restart", "snapshot"])
async def test_unknown_model_is_404(served: Served, fleet: Fleet, action: str) -> None:
    answer = await _post(served, f"/models/nope/{action}", 404)
    assert answer["error"]["code"] == "model_not_found"
    jsonschema.validate(answer, _schema("Error"))
    await _get(served, "/models/nope", 404)
    assert fleet.calls == []


async def test_failed_wake_says_what_was_tried(served: Served, fleet: Fleet) -> None:
    fleet.refusal = Rejected(RejectKind.WAKE_FAILED, "m could not be woken.", tried=[Attempt(Tier.CACHED, "it died")])
    answer = await _post(served, "/models/m/wake", 503)
    assert answer["error"]["message"] == "m could not be woken. Tried cached: it died."


async def test_rest_of_a_busy_model_is_409(served: Served, fleet: Fleet) -> None:
    fleet.refusal = Rejected(RejectKind.REFUSED, "m is busy; try again when its requests are done.")
    answer = await _post(served, "/models/m/rest", 409)
    assert answer["error"]["message"] == "m is busy; try again when its requests are done."
    assert answer["error"]["code"] == "refused"


async def test_rest_to_a_tier_the_model_cannot_use_is_400(served: Served, fleet: Fleet) -> None:
    fleet.refusal = ValueError("m cannot use snapshot: CRIU is missing.")
    answer = await _post(served, "/models/m/rest?tier=snapshot", 400)
    assert answer["error"]["message"] == "m cannot use snapshot: CRIU is missing."


async def test_tier_that_does_not_exist_is_400(served: Served, fleet: Fleet) -> None:
    answer = await _post(served, "/models/m/rest?tier=warm", 400)
    assert "running, asleep, parked" in answer["error"]["message"]
    assert fleet.calls == []


async def test_page_of_another_site_cannot_give_commands(served: Served, fleet: Fleet) -> None:
    await _post(served, "/models/m/rest", 403, headers={"origin": "https://evil.example"})
    await _post(served, "/models/m/rest", 403, headers={"origin": "null"})
    assert fleet.calls == []
    await _post(served, "/models/m/rest", 200, headers={"origin": served.url})


async def test_the_examination_is_that_of_the_cluster(served: Served, fleet: Fleet) -> None:
    report = await _get(served, "/doctor")
    jsonschema.validate(report, _schema("Examination"))
    assert report["tiers"][1] == {
        "tier": "snapshot",
        "open": False,
        "reason": "CRIU is not installed",
        "remedy": "install it",
        "note": None,
    }
    assert report["models"][0]["closed_tiers"] == {"snapshot": "CRIU is not installed; install it"}
    assert fleet.calls == [("examine",)]


async def test_log_is_plain_text(served: Served) -> None:
    async with served.http.get(f"{PREFIX}/replicas/m-1/logs") as got:
        assert got.headers["content-type"] == "text/plain; charset=utf-8"
        assert await got.text() == "first line\nzweite Zeile: größer\nthird\n"


async def test_log_is_followed_line_by_line(served: Served, fleet: Fleet) -> None:
    async with served.http.get(f"{PREFIX}/replicas/m-1/logs?follow=true") as got:
        for line in fleet.lines:
            assert await asyncio.wait_for(got.content.readline(), WAIT) == f"{line}\n".encode()
        for line in ("later", "and later"):
            fleet.later_lines.put_nowait(line)
            assert await asyncio.wait_for(got.content.readline(), WAIT) == f"{line}\n".encode()


async def test_log_of_an_unknown_replica_is_404(served: Served) -> None:
    answer = await _get(served, "/replicas/nope/logs", 404)
    assert "m-1" in answer["error"]["message"]


async def test_follow_must_be_a_boolean(served: Served) -> None:
    await _get(served, "/replicas/m-1/logs?follow=1", 400)


async def test_cold_starts_are_limited(served: Served) -> None:
    assert len((await _get(served, "/cold-starts"))["cold_starts"]) == 100
    assert len((await _get(served, "/cold-starts?limit=2"))["cold_starts"]) == 2
    for bad in ("0", "1001", "-1", "x", "1.5", "²"):
        await _get(served, f"/cold-starts?limit={bad}", 400)


async def test_nothing_else_is_there(served: Served) -> None:
    for path in ("/glowplug/v1/nope", "/nope", "/v1", "/models"):
        async with served.http.get(path) as got:
            assert got.status == 404
            assert (await got.json())["error"]["code"] == "not_found"
    async with served.http.delete(f"{PREFIX}/models") as got:
        assert got.status == 405
        assert "GET" in got.headers["allow"]


def test_description_names_exactly_the_routes_there_are(fleet: Fleet) -> None:
    described = {(method.upper(), path) for path, item in openapi_document()["paths"].items() for method in item}
    routed = {
        (method, route.path.removeprefix(PREFIX).replace(":path", ""))
        for route in Admin(fleet, asyncio.Event()).routes()
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert described == routed


async def test_description_is_served_and_complete(served: Served) -> None:
    document = await _get(served, "/openapi.json")
    assert document["openapi"] == "3.1.0"
    for path, item in document["paths"].items():
        for operation in item.values():
            named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            for response in operation["responses"].values():
                for content in response["content"].values():
                    jsonschema.Draft202012Validator.check_schema(content["schema"])
