"""Resting replicas, and engines that end by themselves."""

import asyncio
import os
import signal

import pytest

from glowplug.checkpoint import processes
from glowplug.checkpoint.freeze_error import FreezeError
from glowplug.checkpoint.freezer_signal import SignalFreezer
from glowplug.config.models import Config
from glowplug.engines.fake import Fake
from glowplug.node import pagecache, watching
from glowplug.node.process_tree import GuardedTree
from glowplug.scheduler.values import Resources, Tier
from glowplug.tiers import park as park_module
from glowplug.tiers.process import CachedTier
from tests.node.nodes import R, config, park, serving, wake
from tests.node.programs import PATIENCE, printed, until

pytestmark = pytest.mark.slow


async def test_a_parked_engine_is_measured_and_uses_no_processor(tmp_path, containment):
    async with serving(tmp_path, config(memory="20MiB", forking_child=True)) as (node, _):
        await wake(node)
        landed = await node.rest(R, "fake", Tier.RUNNING, Tier.PARKED)
        assert landed.measured.ram > 20 * 1024**2
        tree = node._replicas[R].body.tree
        before = [processes._read(f"/proc/{pid}/stat").split()[13:15] for pid in tree.pids()]
        await asyncio.sleep(0.05)
        assert [processes._read(f"/proc/{pid}/stat").split()[13:15] for pid in tree.pids()] == before
        assert len(before) >= 2


@pytest.mark.parametrize("source", [Tier.RUNNING, Tier.PARKED])
async def test_ending_an_engine_frees_everything_even_from_parked(tmp_path, containment, source):
    async with serving(tmp_path, config(children=2, ignores_sigterm=source is Tier.PARKED)) as (node, told):
        await wake(node)
        pids = node._replicas[R].body.tree.pids()
        assert len(pids) >= 3
        if source is Tier.PARKED:
            await park(node)
        landed = await node.rest(R, "fake", source, Tier.CACHED)
        assert (landed.tier, landed.error, landed.measured) == (Tier.CACHED, None, Resources())
        assert not [pid for pid in pids if processes.alive(pid)]
        assert node.pid(R) is None
        assert told.exits.empty()


async def test_weights_leave_the_page_cache_only_if_configured(tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"x" * 1024**2)
    dropped: list[object] = []

    class Weighty(Fake):
        """The fake engine with a file."""

        def weights(self, model):
            return (weights,)

    for keep in (True, False):
        settings = config(model={"keep_page_cache": keep})
        async with serving(tmp_path / "state", settings, engine_of=lambda _: Weighty()) as (node, _):
            await wake(node)
            with weights.open("rb") as file:
                os.fsync(file.fileno())
            await node.rest(R, "fake", Tier.RUNNING, Tier.CACHED)
            dropped.append(pagecache.cached_share(weights))
    if dropped[0] is None or dropped[1] == 1.0:
        pytest.skip("the page cache cannot be seen here")
    assert dropped == [1.0, 0.0]


async def test_a_freeze_that_fails_leaves_the_engine_running_and_watched(tmp_path, monkeypatch):
    def fail(_freezer, _timeout):
        raise FreezeError("process 7 did not stop", runs=True)

    monkeypatch.setattr(park_module, "freezer_for", lambda members, _cgroup: SignalFreezer(members))
    async with serving(tmp_path, config()) as (node, told):
        await wake(node)
        with monkeypatch.context() as patch:
            patch.setattr(SignalFreezer, "freeze", fail)
            landed = await node.rest(R, "fake", Tier.RUNNING, Tier.PARKED)
        assert landed.tier is Tier.RUNNING
        assert landed.error == "The engine cannot be parked: process 7 did not stop."
        assert await node.check(R)
        os.kill(node.pid(R), signal.SIGKILL)
        assert "signal 9" in await told.exit()


async def test_a_freeze_that_cannot_be_undone_ends_the_engine(tmp_path, monkeypatch):
    def fail(_freezer, _timeout):
        raise FreezeError("process 7 did not run again")

    monkeypatch.setattr(park_module, "freezer_for", lambda members, _cgroup: SignalFreezer(members))
    async with serving(tmp_path, config()) as (node, _):
        await wake(node)
        monkeypatch.setattr(SignalFreezer, "freeze", fail)
        landed = await node.rest(R, "fake", Tier.RUNNING, Tier.PARKED)
        assert landed.tier is Tier.CACHED
        assert node.pid(R) is None


@pytest.mark.parametrize("parked", [False, True])
async def test_an_engine_that_ends_by_itself_is_cleaned_up_then_reported(tmp_path, containment, parked):
    if parked and containment == "v1":
        pytest.skip("version 1 holds the signal back until the thaw; see the next test")
    async with serving(tmp_path, config(children=2)) as (node, told):
        await wake(node)
        pids = node._replicas[R].body.tree.pids()
        if parked:
            await park(node)
        os.kill(node.pid(R), signal.SIGKILL)
        assert "was killed by signal 9" in await told.exit()
        assert node.pid(R) is None
        assert not [pid for pid in pids if processes.alive(pid)]
        assert told.exits.empty()
        await wake(node)


async def test_an_engine_that_was_killed_while_parked_does_not_come_back_as_if_it_lived(tmp_path, containment):
    async with serving(tmp_path, config()) as (node, _):
        await wake(node)
        await park(node)
        os.kill(node.pid(R), signal.SIGKILL)
        landed = await node.wake(R, "fake", Tier.PARKED)
        assert landed.tier is Tier.CACHED
        assert landed.error is not None
        assert node.pid(R) is None


async def test_an_exit_is_reported_even_if_cleaning_up_fails_in_an_unforeseen_way(tmp_path, monkeypatch, caplog):
    async def fail(_tree, _grace):
        raise RuntimeError("unforeseen")

    async with serving(tmp_path, config()) as (node, told):
        await wake(node)
        with monkeypatch.context() as patch:
            patch.setattr(GuardedTree, "stop", fail)
            os.kill(node.pid(R), signal.SIGKILL)
            assert "was killed by signal 9" in await told.exit()
        assert "unforeseen" in caplog.text
        assert node.pid(R) is None
        await wake(node)


async def test_a_rest_that_fails_in_an_unforeseen_way_lands_without_a_process_and_says_so(tmp_path, monkeypatch):
    async def fail(_tree, _grace):
        raise RuntimeError("unforeseen")

    async with serving(tmp_path, config()) as (node, _):
        await wake(node)
        with monkeypatch.context() as patch:
            patch.setattr(GuardedTree, "stop", fail)
            landed = await node.rest(R, "fake", Tier.RUNNING, Tier.CACHED)
        assert (landed.tier, landed.error) == (Tier.CACHED, "Unexpected RuntimeError: unforeseen")
        await wake(node)


async def test_an_exit_is_reported_even_if_watching_fails_in_an_unforeseen_way(tmp_path, caplog):
    async def sleep(_seconds):
        raise RuntimeError("unforeseen")

    async with serving(tmp_path, config(), sleep=sleep) as (node, told):
        await wake(node)
        assert await told.exit() == "Unexpected RuntimeError: unforeseen"
        assert node.pid(R) is None


async def test_an_exit_says_what_the_engine_said_last(tmp_path):
    async with serving(tmp_path, config(crash_at="request:2", crash_how="exit:5")) as (node, told):
        await wake(node)
        assert not await node.check(R)
        reason = await told.exit()
        assert reason.startswith('The engine exited with code 5; it said "')


async def test_a_running_engine_that_hangs_is_found_by_asking_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "ALIVE_TIMEOUT", 0.05)
    asked: asyncio.Queue[float] = asyncio.Queue()
    go: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(seconds):
        if seconds == watching.ALIVE_INTERVAL:
            asked.put_nowait(seconds)
            await go.get()
        else:
            await asyncio.get_running_loop().create_future()

    async with serving(tmp_path, config(), sleep=sleep) as (node, told):
        await wake(node)
        pid = node.pid(R)
        await asked.get()
        os.kill(pid, signal.SIGSTOP)
        go.put_nowait(None)  # one question without an answer is forgiven
        await asked.get()
        os.kill(pid, signal.SIGCONT)
        go.put_nowait(None)
        await asked.get()
        assert told.exits.empty()
        os.kill(pid, signal.SIGSTOP)
        for _ in range(2):
            go.put_nowait(None)
        assert await told.exit() == "The engine stopped answering."
        assert not processes.alive(pid)


async def test_a_parked_engine_is_not_asked_whether_it_lives(tmp_path):
    asked: list[float] = []

    async def sleep(seconds):
        asked.append(seconds)
        await asyncio.get_running_loop().create_future()

    async with serving(tmp_path, config(), sleep=sleep) as (node, _):
        await wake(node)
        await until(lambda: len(asked) == 2)
        await park(node)
        await asyncio.sleep(0)
        assert len(asked) == 2


async def test_memory_that_grows_is_told(tmp_path):
    ticks: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(seconds):
        if seconds == watching.MEMORY_INTERVAL:
            await ticks.get()
        else:
            await asyncio.get_running_loop().create_future()

    known = Resources(ram=100)
    readings = [Resources(ram=104), Resources(ram=120), Resources(ram=119), Resources(ram=90)]
    told: list[Resources] = []

    async def measure(_tree, _gpu):
        return readings.pop(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "measure", measure)
        task = asyncio.create_task(watching.report_memory(None, 0, known, told.append, sleep))
        for _ in range(4):
            ticks.put_nowait(None)
        await until(lambda: not readings)
        task.cancel()
    assert told == [Resources(ram=120), Resources(ram=90)]


async def test_a_suspect_engine_that_does_not_answer_is_ended_and_reported_once(tmp_path):
    async with serving(tmp_path, config(crash_at="request:2", crash_how="exit:1")) as (node, told):
        await wake(node)
        assert not await node.check(R)
        await told.exit()
        assert told.exits.empty()
        assert not await node.check(R)
        assert not await node.check("unknown-0")


async def test_the_log_of_a_replica_outlives_its_engine(tmp_path):
    async with serving(tmp_path, config()) as (node, _):
        assert not node.log(R).lines()
        await wake(node)
        await printed(node._supervisor, "", R)
        await node.rest(R, "fake", Tier.RUNNING, Tier.CACHED)
        assert node.log(R).lines()


async def test_every_transition_is_remembered(tmp_path):
    async with serving(tmp_path, config()) as (node, _):
        await wake(node)
        await park(node)
        await wake(node, Tier.PARKED)
        node.store.flush()
        costs = node.store.costs()
    assert [(cost.model, cost.tier) for cost in costs] == [("fake", Tier.CACHED), ("fake", Tier.PARKED)]
    assert all(cost.seconds > 0 and cost.ram > 0 for cost in costs)


async def test_closing_ends_what_is_on_its_way_and_what_is_parked(tmp_path):
    phases = [{"phase": "weights_load", "seconds": 1000}]
    slow = config(phases=phases).models["fake"]
    settings = config()
    settings = settings.model_copy(update={"models": {**settings.models, "slow": slow}})
    async with serving(tmp_path, settings) as (node, _):
        await wake(node)
        await park(node)
        waking = asyncio.create_task(node.wake("slow-0", "slow", Tier.CACHED))
        await until(lambda: node.pid("slow-0") is not None)
        pids = [node.pid(R), node.pid("slow-0")]
    landed = await asyncio.wait_for(waking, PATIENCE)
    assert landed.error == "The transition was called off."
    assert not [pid for pid in pids if processes.alive(pid)]


def _named(**models):
    return Config.model_validate({"models": {name: {"engine": "fake", **model} for name, model in models.items()}})


async def test_a_model_that_comes_back_with_other_weights_has_another_base_tier(tmp_path):
    weights = tmp_path / "weights"
    weights.touch()
    here, missing = _named(fake={"model": str(weights)}), _named(fake={"model": str(tmp_path / "missing")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            CachedTier, "closed", lambda _tier, model, _engine: "no" if "missing" in str(model.model) else None
        )
        async with serving(tmp_path / "state", here) as (node, _):
            node.update(missing)
            assert node.base_tier("fake") is Tier.CACHED  # fixed while it is configured
            node.update(_named(other={}))
            node.update(missing)
            assert node.base_tier("fake") is Tier.COLD


async def test_the_base_tier_of_a_removed_model_holds_while_it_has_a_process(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CachedTier, "closed", lambda _tier, model, _engine: model.model)
        async with serving(tmp_path, _named(fake={})) as (node, _):
            await wake(node)
            await park(node)
            node.update(_named(other={}))
            node.update(_named(fake={"model": "gone"}))
            assert node.base_tier("fake") is Tier.CACHED
            assert (await node.rest(R, "fake", Tier.PARKED, Tier.CACHED)).tier is Tier.CACHED


async def test_nothing_is_kept_of_a_removed_model_whose_engine_ends_by_itself(tmp_path):
    async with serving(tmp_path, config()) as (node, told):
        await wake(node)
        node.update(_named(other={}))
        assert node.log(R).lines()
        os.kill(node.pid(R), signal.SIGKILL)
        await told.exit()
        assert not node._replicas
        assert not node._supervisor._rings
        landed = await node.rest(R, "fake", Tier.RUNNING, Tier.CACHED)  # asked for before that was known
        assert (landed.tier, landed.measured) == (Tier.CACHED, Resources())
        assert landed.error == "The model is no longer configured."


async def test_nothing_is_kept_of_a_removed_model_whose_wake_fails(tmp_path):
    phases = [{"phase": "weights_load", "seconds": 1000}]
    async with serving(tmp_path, config(phases=phases)) as (node, _):
        waking = asyncio.create_task(node.wake(R, "fake", Tier.CACHED))
        await until(lambda: node.pid(R) is not None)
        node.update(_named(other={}))
        node.abort(R)
        assert (await waking).tier is Tier.CACHED
        assert not node._replicas
        assert not node._supervisor._rings


async def test_nothing_is_kept_of_a_model_that_is_removed_while_it_has_no_process(tmp_path):
    async with serving(tmp_path, config()) as (node, _):
        await wake(node)
        await node.rest(R, "fake", Tier.RUNNING, Tier.CACHED)
        node.update(_named(other={}))
        assert not node._replicas
        assert not node._supervisor._rings
        landed = await node.wake(R, "fake", Tier.CACHED)  # asked for just before
        assert (landed.tier, landed.error) == (Tier.CACHED, "The model is no longer configured.")


async def test_replicas_that_the_scheduler_dropped_are_forgotten_once_they_have_no_process(tmp_path):
    async with serving(tmp_path, config()) as (node, _):
        await wake(node)
        await node.wake("fake-1", "fake", Tier.CACHED)
        await node.rest("fake-1", "fake", Tier.RUNNING, Tier.CACHED)
        await node.wake("fake-2", "fake", Tier.CACHED)
        await node.rest("fake-2", "fake", Tier.RUNNING, Tier.CACHED)
        node.forget_all_but(lambda replica_id: replica_id == "fake-2")
        assert set(node._replicas) == set(node._supervisor._rings) == {R, "fake-2"}
