"""The cluster in this process, with a real node and the fake engine."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from glowplug.cluster.base import Rejected, ReplicaLost
from glowplug.cluster.local import LocalCluster
from glowplug.config.models import Config
from glowplug.scheduler.effects import RejectKind
from glowplug.scheduler.values import Resources, Tier

PATIENCE = 30.0


def configure(tmp_path, models, **server) -> Config:
    node = {"state_dir": tmp_path / "state"}
    return Config.model_validate({"server": server, "node": node, "defaults": {"snapshot": "off"}, "models": models})


def fake(options=None, **model):
    return {"engine": "fake", "options": options or {}, **model}


SLOW = {"phases": [{"phase": "weights_load", "seconds": 0.3}]}


@asynccontextmanager
async def running(config, **options):
    cluster = LocalCluster(config, **options)
    await cluster.start()
    try:
        async with asyncio.timeout(PATIENCE):
            yield cluster
    finally:
        await cluster.close()


def view(cluster, name="m"):
    return next(model for model in cluster.models() if model.name == name)


async def test_a_lease_wakes_the_model_and_leaving_the_block_gives_the_replica_back(tmp_path):
    async with running(configure(tmp_path, {"m": fake()})) as cluster:
        assert view(cluster).tier is Tier.CACHED
        async with cluster.lease("m") as replica:
            assert replica.woke_from is Tier.CACHED
            assert replica.address.startswith("http://127.0.0.1:")
            assert view(cluster).in_flight == 1
            async with cluster.lease("m") as second:
                assert second.woke_from is Tier.RUNNING
                assert view(cluster).in_flight == 2
        assert view(cluster).in_flight == 0
        assert view(cluster).last_wake["from"] == "cached"
        assert view(cluster).replicas[0].memory["ram"] > 2**20


async def one_that_waits(cluster) -> asyncio.Task:
    """A request in the queue of `m`, which must not be granted."""

    async def wait():
        async with cluster.lease("m"):
            pytest.fail("was granted after all")

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)  # lets it arrive
    assert view(cluster).queued == 1
    return waiting


async def test_a_lease_given_up_while_waiting_leaves_the_queue_and_its_share_is_not_held(tmp_path):
    async with running(configure(tmp_path, {"m": fake(SLOW)})) as cluster:
        waiting = await one_that_waits(cluster)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert view(cluster).queued == 0
        async with cluster.lease("m"):
            assert view(cluster).in_flight == 1


async def test_a_lease_granted_in_the_moment_it_is_given_up_is_given_back(tmp_path):
    async with running(configure(tmp_path, {"m": fake(SLOW)})) as cluster:
        waiting = await one_that_waits(cluster)
        lease = next(iter(cluster._leases.values()))
        resolve = lease.resolve

        def resolve_and_cancel(answer):
            resolve(answer)
            waiting.cancel()

        type(lease).resolve, original = lambda self, answer: resolve_and_cancel(answer), type(lease).resolve
        try:
            with pytest.raises(asyncio.CancelledError):
                await waiting
        finally:
            type(lease).resolve = original
        assert view(cluster).in_flight == 0


async def test_a_deadline_in_the_queue_is_a_rejection(tmp_path):
    async with running(configure(tmp_path, {"m": fake(SLOW)})) as cluster:
        with pytest.raises(Rejected) as rejected:
            async with cluster.lease("m", timeout=0.05):
                pass
        assert rejected.value.kind is RejectKind.DEADLINE


async def test_a_lost_request_has_its_replica_checked_before_it_gets_the_next_one(tmp_path):
    async with running(configure(tmp_path, {"m": fake()})) as cluster:
        with pytest.raises(ReplicaLost):
            async with cluster.lease("m"):
                raise ReplicaLost("reset")
        replica = cluster._scheduler.models[0].replicas[0]
        assert replica.suspect
        async with cluster.lease("m"):
            assert not replica.suspect


async def test_a_pinned_model_makes_the_cluster_ready_only_once_it_runs(tmp_path):
    async with running(configure(tmp_path, {"m": fake(SLOW, pin=True), "other": fake()})) as cluster:
        assert not cluster.ready
        events = cluster.events()
        async for event in events:
            if event["type"] == "wake":
                break
        assert cluster.ready
        assert event["outcome"] == "ok"


async def test_operators_wishes_are_carried_out_or_refused(tmp_path):
    async with running(configure(tmp_path, {"m": fake()})) as cluster:
        await cluster.wake("m")
        async with cluster.lease("m"):
            with pytest.raises(Rejected, match="busy with 1") as refused:
                await cluster.rest("m")
        assert refused.value.kind is RejectKind.REFUSED
        await cluster.rest("m", Tier.PARKED)
        assert view(cluster).tier is Tier.PARKED
        pid = view(cluster).replicas[0].pid
        await cluster.wake("m")
        assert view(cluster).replicas[0].pid == pid
        await cluster.restart("m")
        assert view(cluster).replicas[0].pid is None
        assert [start["woke_from"] for start in await stored(cluster)] == ["parked", "cached"]


async def stored(cluster):
    await asyncio.to_thread(cluster._node.store.flush)
    return cluster.cold_starts()


async def test_events_tell_of_every_change_of_tier_and_end_with_the_cluster(tmp_path):
    seen = []
    async with running(configure(tmp_path, {"m": fake()})) as cluster:
        events = cluster.events()
        await cluster.wake("m")
        await cluster.rest("m", Tier.PARKED)
    async for event in events:
        seen.append((event["type"], event.get("before"), event.get("after")))
    assert ("tier", "cached", "waking:cached") in seen
    assert ("tier", "waking:cached", "running") in seen
    assert ("tier", "running", "resting:parked") in seen
    assert ("tier", "resting:parked", "parked") in seen


async def test_logs_of_a_replica_are_there_and_can_be_followed_from_before_its_first_start(tmp_path):
    async with running(configure(tmp_path, {"m": fake(SLOW)})) as cluster:
        following = cluster.logs("m-0", follow=True)
        await cluster.wake("m")
        assert "weights_load" in await anext(following)
        assert any("weights_load" in line for line in [line async for line in cluster.logs("m-0")])
        with pytest.raises(KeyError):
            cluster.logs("nobody-0")


async def test_a_reload_keeps_what_did_not_change_starts_anew_what_did_and_ends_what_is_gone(tmp_path):
    before = {"same": fake(), "changed": fake(), "gone": fake()}
    after = {
        "same": fake(keep_alive={"running": "1h"}, aliases=["alias"]),
        "changed": fake({"tokens": 3}),
        "new": fake(),
    }
    async with running(configure(tmp_path, before)) as cluster:
        for name in before:
            await cluster.wake(name)
        pids = {name: view(cluster, name).replicas[0].pid for name in before}
        events = cluster.events()
        await cluster.reload(configure(tmp_path, after), {})
        rested = set()
        async for event in events:
            if event["type"] == "tier" and event["after"] == "cached":
                rested.add(event["model"])
            if rested == {"changed", "gone"}:
                break
        assert cluster.resolve("alias") == "same"
        assert cluster.resolve("gone") is None
        for name in after:
            await cluster.wake(name)
        assert view(cluster, "same").replicas[0].pid == pids["same"]
        assert view(cluster, "changed").replicas[0].pid != pids["changed"]
        assert sorted(model.name for model in cluster.models()) == sorted(after)


async def test_replicas_beyond_a_smaller_maximum_leave_nothing_behind(tmp_path):
    async with running(configure(tmp_path, {"m": fake(replicas={"max": 2, "max_concurrency": 1})})) as cluster:
        async with cluster.lease("m"), cluster.lease("m"):
            assert len(cluster._node._replicas) == 2
        await cluster.restart("m")
        await cluster.reload(configure(tmp_path, {"m": fake(replicas={"max": 1})}), {})
        assert list(cluster._node._replicas) == ["m-0"]
        with pytest.raises(KeyError):
            cluster.logs("m-1")


async def test_a_drain_waits_for_running_requests_no_longer_than_it_is_told(tmp_path):
    async with running(configure(tmp_path, {"m": fake()})) as cluster:
        async with cluster.lease("m"):
            await cluster.drain(0.05)
            with pytest.raises(Rejected) as rejected:
                async with cluster.lease("m"):
                    pass
            assert rejected.value.kind is RejectKind.SHUTTING_DOWN
            assert not cluster.ready
        await cluster.drain(PATIENCE)
        assert view(cluster).replicas[0].pid is None


async def test_measured_wakes_of_an_earlier_life_are_what_retry_after_is_computed_from(tmp_path):
    config = configure(tmp_path, {"m": fake(SLOW)}, max_queue=1)
    async with running(config) as cluster:
        await cluster.wake("m")
    async with running(config) as cluster:
        first = asyncio.create_task(cluster.wake("m"))
        await asyncio.sleep(0)
        with pytest.raises(Rejected) as rejected:
            async with cluster.lease("m"):
                pass
        assert rejected.value.kind is RejectKind.QUEUE_FULL
        assert rejected.value.retry_after == 1.0  # the prior would say a minute
        await first


async def test_an_operators_wake_is_no_proof_that_the_engine_serves(tmp_path):
    async with running(configure(tmp_path, {"m": fake()})) as cluster:
        await cluster.wake("m")
        assert not cluster._scheduler.models[0].replicas[0].served
        async with cluster.lease("m"):
            pass
        assert cluster._scheduler.models[0].replicas[0].served


async def test_whatever_goes_wrong_in_a_transition_it_ends(tmp_path, monkeypatch):
    async with running(configure(tmp_path, {"m": fake()})) as cluster:

        async def break_down(*_arguments):
            raise RuntimeError("the unexpected")

        monkeypatch.setattr(cluster._node, "wake", break_down)
        with pytest.raises(Rejected) as rejected:
            await cluster.wake("m")
        assert rejected.value.kind is RejectKind.WAKE_FAILED
        assert "the unexpected" in rejected.value.tried[0].reason


async def test_a_snapshot_and_resident_images_are_shown_and_told_of(tmp_path):
    async with running(configure(tmp_path, {"m": fake()})) as cluster:
        assert view(cluster).closed_tiers[Tier.SNAPSHOT]
        events = cluster.events()
        cluster._node._on_snapshot("m", Resources(disk=5), "")
        cluster._node._on_images(Resources(ram=7))
        assert view(cluster).snapshot == {"ram": 0, "gpu": 0, "disk": 5}
        assert cluster.image_memory == 7
        assert view(cluster).tier is Tier.CACHED  # the tier is closed here, whatever there is
        cluster._node._on_snapshot("m", None, "the engine changed")
        assert view(cluster).snapshot is None
        told = [await anext(events), await anext(events)]
        assert [(e["type"], e["model"], e["ready"], e["disk"], e["reason"]) for e in told] == [
            ("snapshot", "m", True, 5, None),
            ("snapshot", "m", False, 0, "the engine changed"),
        ]


async def test_a_snapshot_of_an_earlier_server_is_known_before_the_models_are(tmp_path):
    cluster = LocalCluster(configure(tmp_path, {"m": fake()}))
    start = cluster._node.start

    async def find_one():
        await start()
        cluster._node._on_snapshot("m", Resources(disk=5), "")

    cluster._node.start = find_one
    await cluster.start()
    try:
        assert view(cluster).snapshot == {"ram": 0, "gpu": 0, "disk": 5}
    finally:
        await cluster.close()


async def test_a_wake_that_lacks_room_waits_for_images_to_be_released(tmp_path):
    config = configure(tmp_path, {"m": fake(memory="1GiB")})
    config = config.model_copy(update={"node": config.node.model_copy(update={"memory": 2**30})})
    async with running(config) as cluster:
        cluster._node._on_images(Resources(ram=2**29))
        await cluster.wake("m")
        assert cluster.image_memory == 0
        assert view(cluster).tier is Tier.RUNNING
