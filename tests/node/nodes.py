"""A node with fake engines, and what it told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from glowplug.config.models import Config
from glowplug.engines import registry
from glowplug.node.node import Node
from glowplug.scheduler.values import Resources, Tier
from tests.node.programs import PATIENCE

R = "fake-0"
"""The replica of the tests."""


class Told:
    """What the node reported by itself."""

    def __init__(self) -> None:
        self.exits: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.memory: asyncio.Queue[tuple[str, Resources]] = asyncio.Queue()

    async def exit(self) -> str:
        """Why the replica ended."""
        replica_id, reason = await asyncio.wait_for(self.exits.get(), PATIENCE)
        assert replica_id == R
        return reason


def config(*, model: dict[str, Any] | None = None, **options: Any) -> Config:
    """One model, `fake`, with options of the fake engine and further settings of the model; without snapshots."""
    settings = {"engine": "fake", "options": options, "start_timeout": "20s", "snapshot": "off", **(model or {})}
    return Config.model_validate({"models": {"fake": settings}})


@asynccontextmanager
async def serving(state_dir: Path, settings: Config, **arguments: Any) -> AsyncIterator[tuple[Node, Told]]:
    """A started node that ends with the block."""
    told = Told()
    arguments = {"engine_of": registry.get, "sleep": never, **arguments}
    node = Node(
        settings,
        state_dir,
        on_exit=lambda *event: told.exits.put_nowait(event),
        on_memory=lambda *event: told.memory.put_nowait(event),
        **arguments,
    )
    await node.start()
    try:
        yield node, told
    finally:
        await node.close()


async def never(_seconds: float) -> None:
    """A sleep that does not end: nothing is looked at between transitions."""
    await asyncio.get_running_loop().create_future()


async def wake(node: Node, source: Tier = Tier.CACHED) -> None:
    """A wake that succeeds."""
    landed = await node.wake(R, "fake", source)
    assert (landed.tier, landed.error) == (Tier.RUNNING, None)


async def park(node: Node) -> None:
    """A rest to parked that succeeds."""
    landed = await node.rest(R, "fake", Tier.RUNNING, Tier.PARKED)
    assert (landed.tier, landed.error) == (Tier.PARKED, None)
