"""Snapshots that somebody asks for: made whatever they are worth, and what there was comes back if they are not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from glowplug.artifacts.store import ArtifactStore
from glowplug.config.models import Config
from glowplug.node.node import Node
from glowplug.node.snapshot_creation import create_snapshot
from glowplug.node.snapshot_orders import NotMade, Orders
from glowplug.node.state_lock import StateDirInUse, StateLock
from glowplug.scheduler.values import Resources, Tier
from glowplug.tiers.snapshot import machine_closed
from tests.node.nodes import R, config, serving, wake
from tests.node.programs import PATIENCE
from tests.node.stored_snapshots import stored

pytestmark = pytest.mark.slow

with_criu = [pytest.mark.root, pytest.mark.criu]


@pytest.fixture
def possible():
    """Skips where nothing can be dumped."""
    if reason := machine_closed():
        pytest.skip(reason)


class Heard:
    """What a node told of its snapshots."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Resources | None, str]] = []

    def __call__(self, model: str, held: Resources | None, reason: str) -> None:
        self.told.append((model, held, reason))

    @property
    def reasons(self) -> list[str | None]:
        """Why there was none, or None for each time that there was one."""
        return [reason if held is None else None for _, held, reason in self.told]


async def made(node: Node):
    """Order a snapshot, start the engine for it and wait."""
    async with asyncio.timeout(PATIENCE), node.ordered_snapshot("fake") as order:
        await wake(node)
        await node.settled_snapshots()
        return order.result()


def open_config(**options: Any) -> Config:
    """The model of the tests, its snapshot tier open."""
    return config(model={"snapshot": "auto"}, **options)


def store_of(state_dir: Path) -> ArtifactStore:
    return ArtifactStore(state_dir / "artifacts")


def test_only_one_order_of_a_model_is_open_and_its_first_reason_counts(tmp_path):
    orders = Orders()
    manifest = stored(tmp_path)
    order = orders.place("m", None)
    with pytest.raises(NotMade, match="is being made already"):
        orders.place("m", None)
    orders.place("other", manifest)
    assert (orders.waits("m"), orders.replaces("other"), orders.replaces("m")) == (True, manifest, None)
    orders.fail("m", "one")
    orders.fail("m", "two")
    assert not orders.waits("m")
    with pytest.raises(NotMade, match="one"):
        order.result()
    orders.remove("m")
    again = orders.place("m", None)
    orders.fulfil(manifest)
    assert again.result() is manifest
    orders.remove("m")
    orders.fulfil(manifest)
    orders.fail("m", "nobody asked")
    assert not orders.waits("m")


def test_an_order_that_nothing_came_of_says_so(tmp_path):
    with pytest.raises(NotMade, match="not dumped"):
        Orders().place("m", None).result()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"snapshot": "off"}, "it is switched off"),
        ({"tiers": ["parked"], "snapshot": "auto"}, "its tiers leave it out|can have no snapshot"),
    ],
)
async def test_a_model_that_may_have_none_is_refused(tmp_path, model, reason):
    async with serving(tmp_path, config(model=model)) as (node, _):
        with pytest.raises(NotMade, match=reason):
            async with node.ordered_snapshot("fake"):
                pytest.fail("was taken")


class TestWithCriu:
    pytestmark = with_criu

    async def test_an_ordered_snapshot_is_made_and_replaces_the_one_before(self, tmp_path, possible):
        heard = Heard()
        async with serving(tmp_path, open_config(), on_snapshot=heard) as (node, _):
            first = await made(node)
            await node.rest(R, "fake", Tier.RUNNING, Tier.CACHED)
            second = await made(node)
            assert [manifest.id for manifest in store_of(tmp_path).list()] == [second.id] != [first.id]
            assert heard.reasons == [None, "a new one is being made", None]
            await node.rest(R, "fake", Tier.RUNNING, Tier.SNAPSHOT)
            await wake(node, Tier.SNAPSHOT)

    async def test_what_there_was_is_used_again_if_the_order_fails(self, tmp_path, possible):
        heard = Heard()
        async with serving(tmp_path, open_config(), on_snapshot=heard) as (node, _):
            manifest = await made(node)
            with pytest.raises(RuntimeError):
                async with node.ordered_snapshot("fake"):
                    with pytest.raises(NotMade, match="already"):
                        async with node.ordered_snapshot("fake"):
                            pass
                    raise RuntimeError
            assert heard.reasons == [None, "a new one is being made", None]
            await node.rest(R, "fake", Tier.RUNNING, Tier.SNAPSHOT)
            await wake(node, Tier.SNAPSHOT)
            assert store_of(tmp_path).newest("snapshot", "fake") == manifest

    async def test_one_that_was_removed_is_found_gone_by_a_restore_or_a_look(self, tmp_path, possible):
        heard = Heard()
        async with serving(tmp_path, open_config(), on_snapshot=heard) as (node, _):
            manifest = await made(node)
            await node.rest(R, "fake", Tier.RUNNING, Tier.SNAPSHOT)
            store_of(tmp_path).remove(manifest.id)
            landed = await node.wake(R, "fake", Tier.SNAPSHOT)
            assert landed.tier is Tier.CACHED
            assert manifest.id in landed.error
            assert heard.reasons == [None, "it was removed"]
            manifest = await made(node)
            store_of(tmp_path).remove(manifest.id)
            await node.rescan_snapshots()
            await node.rescan_snapshots()
            assert heard.reasons[2:] == [None, "it was removed"]
            assert store_of(tmp_path).problems() == []

    async def test_a_newer_one_that_was_put_there_is_taken_up_and_others_are_left_alone(self, tmp_path, possible):
        heard = Heard()
        async with serving(tmp_path, open_config(), on_snapshot=heard) as (node, _):
            await made(node)
            stored(tmp_path, "stranger")
            await node.rescan_snapshots()
            assert heard.reasons == [None]
            put = stored(tmp_path, "fake")
            await node.rescan_snapshots()
            assert heard.told[1:] == [("fake", Resources(disk=put.stored_bytes), "")]
            store_of(tmp_path).remove(put.id)
            await node.rescan_snapshots()
            assert heard.reasons == [None, None, None]  # the older one is still there

    async def test_without_a_server_nothing_is_left_but_the_snapshot(self, tmp_path, possible):
        lines: list[str] = []
        manifest = await create_snapshot(open_config(), tmp_path, "fake", lines.append)
        assert [found.id for found in store_of(tmp_path).list()] == [manifest.id]
        assert lines[0] == "starting fake (cached)"
        assert lines[1].endswith("storing the image")
        StateLock(tmp_path).release()

    async def test_an_engine_that_does_not_start_leaves_its_reason_and_no_snapshot(self, tmp_path, possible):
        broken = open_config(phases=[{"phase": "weights_load", "seconds": 0}], crash_at="start:weights_load")
        with pytest.raises(NotMade, match="exited with code 1"):
            await create_snapshot(broken, tmp_path, "fake", lambda _line: None)
        assert store_of(tmp_path).list() == []


async def test_where_a_server_works_no_second_one_makes_a_snapshot(tmp_path):
    lock = StateLock(tmp_path)
    with pytest.raises(StateDirInUse):
        await create_snapshot(open_config(), tmp_path, "fake", pytest.fail)
    lock.release()
