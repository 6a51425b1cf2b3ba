"""Parked: the whole process tree stands still in memory, as it was, and needs no CPU."""

import asyncio
from typing import ClassVar

from glowplug.checkpoint.freeze_error import FreezeError
from glowplug.checkpoint.freezer import Freezer, freezer_closed, freezer_for
from glowplug.config.models import ModelConfig
from glowplug.engines.base import Engine
from glowplug.scheduler.values import Tier
from glowplug.tiers.base import Body, Host, TierError
from glowplug.tiers.steps import perform

_TIMEOUT = 5.0
"""Seconds. A tree stands still within a millisecond or so; a thread that waits for a device may take longer, and one
that has not stopped after this is taken not to stop at all."""


class ParkTier:
    """Running or asleep, frozen."""

    tier: ClassVar[Tier] = Tier.PARKED

    def closed(self, model: ModelConfig, engine: Engine) -> str | None:
        """See `TierTransition.closed`."""
        return engine.parkable(model) or freezer_closed()

    async def rest(self, body: Body, source: Tier, host: Host) -> None:
        """Let the engine give back what it can by itself, then freeze the tree. One that cannot be frozen runs on."""
        freezer = _freezer(body)
        await perform(body.engine.sleep(body.model_name, body.model, body.port), body, host)
        try:
            await asyncio.to_thread(freezer.freeze, _TIMEOUT)
        except FreezeError as error:
            if error.runs:
                await perform(body.engine.wake(body.model_name, body.model, body.port), body, host)
            raise TierError(f"The engine cannot be parked: {error}.", intact=error.runs) from error

    async def wake(self, body: Body, host: Host) -> None:
        """Thaw the tree, and let the engine take back what it gave."""
        with body.phase("thaw"):
            try:
                await asyncio.to_thread(_freezer(body).thaw, _TIMEOUT)
            except FreezeError as error:
                raise TierError(f"The engine cannot be thawed: {error}.") from error
        if steps := body.engine.wake(body.model_name, body.model, body.port):
            with body.phase("wake"):
                await perform(steps, body, host)


def _freezer(body: Body) -> Freezer:
    if body.tree is None:
        raise TierError("There is no engine to park.")
    return freezer_for(body.tree.pids, body.tree.cgroup)
