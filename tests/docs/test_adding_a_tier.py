"""The tier in docs/adding-a-tier.md does what the page says, on a real node and behind the scheduler."""

import asyncio

import pytest

from glowplug.cluster.local import LocalCluster
from glowplug.config.models import Config, ModelConfig, NodeConfig
from glowplug.scheduler.values import Tier
from glowplug.tiers.registry import TRANSITIONS
from tests.docs.examples import load

PAGE = "adding-a-tier.md"
PATIENCE = 30.0


@pytest.fixture
def page_tests(monkeypatch):
    """The page's own tests, with its tier in the registry."""
    tier = load(PAGE, "src/glowplug/tiers/sleep.py").SleepTier()
    monkeypatch.setitem(TRANSITIONS, tier.tier, tier)
    return load(PAGE, "tests/tiers/test_sleep.py")


async def test_the_engine_gives_its_memory_back_and_wakes_the_same(page_tests, tmp_path):
    await page_tests.test_an_engine_that_sleeps_has_given_its_memory_back_and_wakes_the_same(tmp_path)


async def test_an_engine_that_keeps_its_memory_stays_running(page_tests, tmp_path):
    await page_tests.test_an_engine_that_keeps_its_memory_stays_running(tmp_path)


def test_an_engine_that_cannot_sleep_cannot_use_it(page_tests):
    page_tests.test_an_engine_that_cannot_sleep_cannot_use_it()


async def test_the_scheduler_uses_it_and_parks_what_sleeps(page_tests, tmp_path):
    model = ModelConfig(
        engine="fake",
        keep_alive={Tier.RUNNING: 0.0, Tier.ASLEEP: 0.0},
        options={"memory": "100MiB"},
    )
    cluster = LocalCluster(Config(models={"m": model}, node=NodeConfig(state_dir=tmp_path)))
    await cluster.start()
    try:
        events = cluster.events()
        states: list[str] = []
        async with asyncio.timeout(PATIENCE):
            async with cluster.lease("m") as replica:
                assert replica.woke_from is Tier.CACHED
            async for event in events:
                if event["type"] == "tier":
                    states.append(event["after"])
                if states[-1:] == ["parked"]:
                    break
            assert states[-4:] == ["resting:asleep", "asleep", "resting:parked", "parked"]
            async with cluster.lease("m") as replica:
                assert replica.woke_from is Tier.PARKED
    finally:
        await cluster.close()
