"""A configuration that changes while replicas rest."""

import pytest

from glowplug.checkpoint import processes
from glowplug.scheduler.values import Resources, Tier
from tests.node.nodes import R, config, park, serving, wake
from tests.node.test_wakes import _nothing_left

pytestmark = pytest.mark.slow


def _without(settings):
    """The configuration with another model in the place of `fake`."""
    return settings.model_copy(update={"models": {"other": settings.models["fake"]}})


async def test_waking_a_parked_replica_of_a_model_that_was_taken_out_ends_its_engine(tmp_path):
    settings = config(children=1)
    async with serving(tmp_path, settings) as (node, told):
        await wake(node)
        await park(node)
        pids = node._replicas[R].body.tree.pids()
        assert len(pids) >= 2
        node.update(_without(settings))
        landed = await node.wake(R, "fake", Tier.PARKED)
        assert (landed.tier, landed.error) == (Tier.CACHED, "The model is no longer configured.")
        assert landed.measured == Resources()
        assert not [pid for pid in pids if processes.alive(pid)]
        assert not node._replicas
        assert not node._supervisor._rings
        assert _nothing_left(node)
        assert told.exits.empty()


async def test_the_next_start_goes_by_the_new_configuration(tmp_path):
    async with serving(tmp_path, config()) as (node, _):
        await wake(node)
        await node.rest(R, "fake", Tier.RUNNING, Tier.CACHED)
        node.update(config(crash_at="request:1", crash_how="exit:9"))
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert "code 9" in landed.error
