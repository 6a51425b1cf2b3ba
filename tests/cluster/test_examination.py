"""What the fleet says of its machine."""

import asyncio
from pathlib import Path

import pytest

from glowplug.cluster.local import LocalCluster
from glowplug.config.models import Config, ModelConfig, NodeConfig


@pytest.mark.slow
async def test_who_asks_at_the_same_time_gets_the_same_examination_and_a_later_one_another(tmp_path: Path) -> None:
    config = Config(node=NodeConfig(state_dir=tmp_path), models={"toy": ModelConfig(engine="fake")})
    cluster = LocalCluster(config)
    await cluster.start()
    try:
        first, second = await asyncio.gather(cluster.examine(), cluster.examine())
        assert first == second  # measured rates included
        assert [model["model"] for model in first["models"]] == ["toy"]
        assert await cluster.examine() != first
        asking = asyncio.create_task(cluster.examine())
        await asyncio.sleep(0)
        asking.cancel()
        assert (await cluster.examine())["schema"] == 1
    finally:
        await cluster.close()
