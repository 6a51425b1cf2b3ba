"""The tiers without a process: the engine is started to leave them and ended to come back."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import ClassVar

from glowplug.checkpoint.sandbox import PORT
from glowplug.config.models import ModelConfig
from glowplug.engines.base import Engine, EngineError
from glowplug.scheduler.values import Tier
from glowplug.tiers.base import Body, Host, ProcessTree, TierError
from glowplug.tiers.sandboxed import sandboxed_launch
from glowplug.tiers.watch import while_alive

STOP_GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL. vLLM needs about 5 to shut its workers down; what holds on longer hangs."""

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1
_GROWTH = 1.2
"""Seconds between two questions after health. No engine tells when it is ready, so it must be asked: often in the first
moments, where small models become ready, and later at a pace that costs a start of a minute 0.1 s at most."""

_ANSWER_TIMEOUT = 5.0
_WARMUP_TIMEOUT = 300.0


class CachedTier:
    """Weights on the local disk, no process."""

    tier: ClassVar[Tier] = Tier.CACHED

    def closed(self, model: ModelConfig, engine: Engine) -> str | None:
        """See `TierTransition.closed`."""
        missing = [path for path in engine.weights(model) if not path.exists()]
        return f"the weights are not on this machine: {missing[0]} does not exist" if missing else None

    async def rest(self, body: Body, source: Tier, host: Host) -> None:
        """End the engine, and free its part of the page cache if the model is configured so."""
        await stop(body, STOP_GRACE)
        if not body.model.keep_page_cache:
            await host.drop_page_cache(body.engine.weights(body.model))

    async def wake(self, body: Body, host: Host) -> None:
        """Start the engine."""
        await start(body, host)


class ColdTier:
    """Nothing local; the engine fetches what it needs when it starts."""

    tier: ClassVar[Tier] = Tier.COLD

    def closed(self, model: ModelConfig, engine: Engine) -> str | None:
        """See `TierTransition.closed`."""
        return None

    async def rest(self, body: Body, source: Tier, host: Host) -> None:
        """End the engine. Files it has fetched are its own affair."""
        await stop(body, STOP_GRACE)

    async def wake(self, body: Body, host: Host) -> None:
        """Start the engine."""
        await start(body, host)


async def start(body: Body, host: Host) -> None:
    """Start the engine of a replica, wait for its health and send the warm-up requests. Raises TierError."""
    with body.phase("process_start"):
        tree = body.tree = await _spawn(body, host)
    with body.phase("engine_init"):
        await while_alive(tree, _healthy(body, host))
    warmup = body.engine.warmup(body.model_name, body.model)
    if warmup:
        with body.phase("warmup"):
            await while_alive(tree, _warm_up(body, host))


async def stop(body: Body, grace: float) -> None:
    """End the engine of a replica, whatever state it is in. Raises TierError if it does not end."""
    if body.tree is not None:
        await body.tree.stop(grace)
        body.tree = None
    body.canary = None


async def _spawn(body: Body, host: Host) -> ProcessTree:
    try:
        if body.sandboxed:
            body.port = PORT
            launch = sandboxed_launch(body.model_name, body.model, body.engine)
        else:
            body.port = await host.free_port(body.replica_id)
            launch = body.engine.launch(body.model_name, body.model, body.port)
    except EngineError as error:
        raise TierError(str(error)) from error
    if host.caches is not None:
        body.prepared = await asyncio.to_thread(host.caches.prepare, body.engine, body.model, launch)
        launch = replace(launch, env={**launch.env, **body.prepared.environment})
    return await host.spawn(body.replica_id, launch, host.images.sandbox(launch) if body.sandboxed else None)


async def _healthy(body: Body, host: Host) -> None:
    call = body.engine.health(body.model)
    pause = _FIRST_PAUSE
    while True:
        try:
            status, _ = await host.call(body.address, call, _ANSWER_TIMEOUT)
        except (OSError, TimeoutError):
            status = 0
        if status == HTTPStatus.OK:
            return
        await asyncio.sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


async def _warm_up(body: Body, host: Host) -> None:
    for call in body.engine.warmup(body.model_name, body.model):
        try:
            status, answer = await host.call(body.address, call, _WARMUP_TIMEOUT)
        except (OSError, TimeoutError) as error:
            raise TierError(f"The engine did not answer a warm-up request: {error or 'no answer in time'}.") from error
        if status != HTTPStatus.OK:
            raise TierError(f"The engine answered a warm-up request with {status}: {str(answer)[:300]}")
