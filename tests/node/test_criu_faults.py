"""A CRIU that fails in every way: the request is served by the next rung, the reason is told, and nothing is left."""

import asyncio

import pytest

from glowplug.checkpoint import criu_binary
from glowplug.node.replica import CALLED_OFF
from glowplug.scheduler.values import Tier
from glowplug.tiers import capture, snapshot
from tests.node.nodes import R
from tests.node.programs import until
from tests.node.snapshotting import MoodyCriu, left_behind, require_criu, rest, rested, restore, snapshotting, start

pytestmark = [pytest.mark.root, pytest.mark.criu]


@pytest.fixture
def criu(tmp_path, monkeypatch):
    """The CRIU of the node; what hangs is given up after a moment."""
    moody = MoodyCriu(tmp_path, require_criu())
    monkeypatch.setenv(criu_binary.VARIABLE, str(moody.path))
    monkeypatch.setattr(capture, "_DUMP_TIMEOUT", 1.0)
    return moody


async def _nothing_left(node):
    await until(lambda: not left_behind(node))


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("refuses-to-dump", "CRIU cannot dump: it was told to"),
        ("dies-in-dump", "CRIU cannot dump: CRIU gave no reason"),
        ("is-killed-in-dump", "CRIU cannot dump: "),
    ],
)
async def test_an_engine_that_criu_does_not_dump_serves_all_the_same(tmp_path, criu, mood, reason):
    criu.does(mood)
    async with snapshotting(tmp_path / "state") as (node, told):
        await start(node)
        assert reason in node.closed_tiers("fake")[Tier.SNAPSHOT]
        assert await node.check(R)
        assert told.snapshots.empty()
        await rest(node, target=Tier.CACHED)
        await _nothing_left(node)
        criu.does("its work")
        await rested(node, told)
        assert Tier.SNAPSHOT not in node.closed_tiers("fake")
        await restore(node)


async def test_a_dump_that_hangs_costs_one_start_and_not_the_next(tmp_path, criu):
    criu.does("hangs-in-dump")
    async with snapshotting(tmp_path / "state") as (node, told):
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert landed.tier is Tier.CACHED
        assert landed.error == "The engine was harmed while it was dumped: CRIU took longer than 1 s."
        await _nothing_left(node)
        await start(node)
        assert "is not tried again for now: The engine was harmed" in node.closed_tiers("fake")[Tier.SNAPSHOT]
        assert told.snapshots.empty()
        await rest(node, target=Tier.CACHED)
        await _nothing_left(node)


async def test_a_start_that_is_called_off_while_a_dump_hangs_is_not_dumped_the_next_time(tmp_path, criu, monkeypatch):
    monkeypatch.setattr(capture, "_DUMP_TIMEOUT", 100.0)
    criu.does("hangs-in-dump")
    async with snapshotting(tmp_path / "state") as (node, _):
        waking = asyncio.create_task(node.wake(R, "fake", Tier.CACHED))
        await until(lambda: criu.hangs)
        node.abort(R)
        assert (await waking).error == CALLED_OFF
        await _nothing_left(node)
        criu.does("hangs-in-dump")
        await start(node)
        assert not criu.hangs


@pytest.mark.parametrize(
    ("mood", "reason", "quarantined"),
    [
        ("refuses-to-restore", "CRIU did not restore the image", False),
        ("dies-in-restore", "CRIU did not restore the image", False),
        ("is-killed-in-restore", "CRIU cannot restore: ", True),
        ("hangs-in-restore", "CRIU did not restore the engine within", True),
    ],
)
async def test_a_restore_that_fails_leads_to_a_start(tmp_path, criu, monkeypatch, mood, reason, quarantined):
    monkeypatch.setattr(snapshot, "_RESTORE_TIMEOUT", 1.0)
    async with snapshotting(tmp_path / "state") as (node, told):
        await rested(node, told)
        criu.does(mood)
        landed = await node.wake(R, "fake", Tier.SNAPSHOT)
        assert landed.tier is Tier.CACHED
        assert reason in landed.error
        await _nothing_left(node)
        problems = node._host.snapshots._store.problems()
        assert [reason in problem.reason for problem in problems] == [True] * quarantined
        if quarantined:
            assert reason in await told.gone()
        await start(node)
        if quarantined:
            await told.ready()
        criu.does("its work")
        monkeypatch.undo()
        monkeypatch.setenv(criu_binary.VARIABLE, str(criu.path))
        await rest(node)
        await restore(node)


async def test_images_that_fail_again_and_again_are_not_made_again_and_again(tmp_path, criu):
    criu.does("is-killed-in-restore")
    async with snapshotting(tmp_path / "state") as (node, told):
        for _ in range(3):
            await rested(node, told)
            assert (await node.wake(R, "fake", Tier.SNAPSHOT)).tier is Tier.CACHED
            await told.gone()
        await start(node)
        assert "is not tried again for now: CRIU cannot restore" in node.closed_tiers("fake")[Tier.SNAPSHOT]
        await node._host.snapshots.settled()
        assert told.snapshots.empty()


async def test_without_criu_any_more_what_was_made_with_it_waits_until_there_is_one(tmp_path, criu, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nothing"))
    monkeypatch.setattr(criu_binary.shutil, "which", lambda *_args, **_options: None)
    async with snapshotting(tmp_path / "state") as (node, told):
        await rested(node, told)
        away = criu.path.rename(tmp_path / "away")
        landed = await node.wake(R, "fake", Tier.SNAPSHOT)
        assert (landed.tier, landed.error) == (
            Tier.CACHED,
            "CRIU is not installed; run: glowplug doctor --install-criu",
        )
        await start(node)
        await rest(node)
        away.rename(criu.path)
        await restore(node)


async def test_an_older_criu_is_refused_with_both_versions_and_the_remedy(tmp_path, criu):
    async with snapshotting(tmp_path / "state") as (node, told):
        await rested(node, told)
        criu.does("old")
        landed = await node.wake(R, "fake", Tier.SNAPSHOT)
        assert landed.error.startswith("CRIU 4.1.0 (GLOWPLUG_CRIU) is too old, 4.2 or newer is needed; run: glowplug")
        await start(node)
        await rest(node)
        criu.does("its work")
        await restore(node)
