"""One replica on this machine: its transitions, each whole or torn down whole, and the watch over it in between."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass

from glowplug.config.models import ModelConfig
from glowplug.engines.base import Engine
from glowplug.node import pagecache
from glowplug.node.cold_start import cold_start_record
from glowplug.node.host import LocalHost
from glowplug.node.landed import Landed
from glowplug.node.readiness import prove, prove_fresh, prove_same
from glowplug.node.watching import Sleep, measure, report_memory, until_ended, until_silent
from glowplug.scheduler.values import Resources, Tier
from glowplug.tiers.base import Body, ProcessTree, TierError
from glowplug.tiers.exit_report import exit_report
from glowplug.tiers.process import stop
from glowplug.tiers.registry import TRANSITIONS
from glowplug.tiers.sandboxed import sandboxed_launch
from glowplug.tiers.watch import while_alive

log = logging.getLogger(__name__)

RETURN_TIMEOUT = 30.0
"""Seconds for bringing back a process that exists, canary included."""

REST_TIMEOUT = 120.0
"""Seconds for a rest. Each step of one has a shorter limit of its own."""

CHECK_TIMEOUT = 30.0
"""Seconds for a suspect engine to answer the canary."""

_CRASHES = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT))
"""Ends of a process that damaged machine code leads to."""

CALLED_OFF = "The transition was called off."


@dataclass(frozen=True, slots=True)
class Observers:
    """Whom to tell: of an engine that ended by itself and was cleaned up, and of a running engine's memory."""

    on_exit: Callable[[str, str], None]
    on_memory: Callable[[str, Resources], None]


@dataclass(frozen=True, slots=True)
class HowToStart:
    """What a start goes by.

    `sandboxed` starts the engine so that it can be dumped; `always_dump` dumps it even if that is not worth it.
    """

    model: ModelConfig
    engine: Engine
    start_timeout: float
    sandboxed: bool = False
    always_dump: bool = False


@dataclass(frozen=True, slots=True)
class _Failure:
    error: str
    intact: bool = False
    called_off: bool = False


class Replica:
    """Owns a `Body`. At most one transition runs at a time; the scheduler sees to that."""

    def __init__(self, body: Body, base: Tier, host: LocalHost, observers: Observers, sleep: Sleep) -> None:
        self.body = body
        self._base = base
        self._host = host
        self._observers = observers
        self._sleep = sleep
        self._held: Resources | None = None
        self._weights_cached: float | None = None
        self._work: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._ending = False
        self._always_dump = False
        self._trouble: asyncio.Future[str] | None = None

    @property
    def idle(self) -> bool:
        """Whether it has no process, and none is on its way."""
        return self._work is None and self.body.tree is None

    def configure(self, how: HowToStart) -> None:
        """What the next start is to go by."""
        self.body.model, self.body.engine = how.model, how.engine
        self.body.start_timeout, self.body.sandboxed = how.start_timeout, how.sandboxed
        self._always_dump = how.always_dump

    async def wake(self, source: Tier) -> Landed:
        """Bring it from `source` to running and prove that it answers."""
        self.body.phases.clear()
        self.body.image_at = self._weights_cached = None
        limit = RETURN_TIMEOUT if source.has_process else self.body.start_timeout
        began = time.monotonic()
        started = not source.has_process and source is not Tier.SNAPSHOT
        with self._host.watching(self.body.replica_id, began) if started else nullcontext() as watch:
            try:
                failure = await self._carry_out(lambda: self._wake(source), f"was not ready within {limit:g} s", limit)
                landed = await self._land(source, Tier.RUNNING, failure)
            except asyncio.CancelledError:
                await asyncio.shield(asyncio.ensure_future(self._tear_down()))
                raise
            ended = time.monotonic()
        outcome = "ready" if failure is None else "incomplete" if failure.called_off else "failed"
        record = cold_start_record(
            self.body,
            source,
            watch,
            began=began,
            ended=ended,
            outcome=outcome,
            reason=None if failure is None else failure.error,
            weights_cached=self._weights_cached,
            image_at=self.body.image_at,
        )
        address = self.body.address if failure is None else None
        error = None if failure is None else failure.error
        return Landed(landed, ended - began, error, address, self._held, record)

    async def rest(self, source: Tier, target: Tier) -> Landed:
        """Bring it from `source` to the colder `target`."""
        began = time.monotonic()
        limit = REST_TIMEOUT
        try:
            failure = await self._carry_out(
                lambda: self._rest(source, target), f"could not be rested within {limit:g} s", limit
            )
            landed = await self._land(source, target, failure)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(self._tear_down()))
            raise
        error = None if failure is None else failure.error
        return Landed(landed, time.monotonic() - began, error, None, self._held)

    async def check(self) -> bool:
        """Whether it gives a real answer now. If not, it is ended and reported like one that ended by itself."""
        tree, watch, trouble = self.body.tree, self._watch, self._trouble
        if tree is None or watch is None or trouble is None:
            return False
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await while_alive(tree, prove(self.body, self._host))
        except (TierError, TimeoutError) as error:
            if not trouble.done():
                trouble.set_result(str(error) or f"The engine gave no answer within {CHECK_TIMEOUT:g} s.")
            await asyncio.wait({watch})
            return False
        return True

    def abort(self) -> bool:
        """Call off the transition that is running; it then ends as a failed one. False if none is running."""
        if self._work is None:
            return False
        self._work.cancel()
        return True

    async def end(self) -> None:
        """End its engine, whatever that does. No transition may be running."""
        await self._stop_watching()
        await self._tear_down()

    async def close(self) -> None:
        """Stop what is going on. The processes are the supervisor's to end."""
        self.abort()
        if self._work is not None:
            await asyncio.wait({self._work})
        await self._stop_watching()

    async def _carry_out(self, work: Callable[[], Awaitable[None]], too_late: str, limit: float) -> _Failure | None:
        async def limited() -> None:
            await self._stop_watching()
            async with asyncio.timeout(limit):
                await work()

        task = self._work = asyncio.create_task(limited())
        try:
            await asyncio.wait({task})
        finally:
            self._work = None
            if not task.done():  # whoever asked for the transition has left
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            return _Failure(CALLED_OFF, called_off=True)
        match task.exception():
            case None:
                return None
            case TierError() as error:
                return _Failure(str(error), intact=error.intact)
            case TimeoutError():
                return _Failure(f"The engine {too_late}.")
            case error:
                log.error("A transition of %s failed unexpectedly", self.body.replica_id, exc_info=error)
                return _Failure(f"Unexpected {type(error).__name__}: {error}")

    async def _land(self, source: Tier, target: Tier, failure: _Failure | None) -> Tier:
        landed = target if failure is None else source if failure.intact else self._base
        if failure is not None and not failure.intact:
            await self._tear_down()
        self._start_watching(landed)
        return landed

    async def _wake(self, source: Tier) -> None:
        if source is Tier.SNAPSHOT:
            await self._restore()
            return
        if not source.has_process:
            await self._start(source)
            return
        tree = self._tree()
        await while_alive(tree, TRANSITIONS[source].wake(self.body, self._host))
        with self.body.phase("canary"):
            await while_alive(tree, prove_same(self.body, self._host))

    async def _restore(self) -> None:
        began = time.monotonic()
        await stop(self.body, 0)
        await TRANSITIONS[Tier.SNAPSHOT].wake(self.body, self._host)
        try:
            with self.body.phase("canary"):
                await while_alive(self._tree(), prove_same(self.body, self._host))
        except TierError as error:
            await self._host.images.quarantine(self.body.model_name, str(error))
            raise
        # What it holds is as much as before it was dumped; to measure it now would take a part of the time saved.
        self._held = None
        if self.body.image_at is not None:
            seconds = time.monotonic() - began
            self._host.images.restored(self.body.model_name, self.body.image_at, seconds, always=self._always_dump)

    async def _start(self, source: Tier) -> None:
        began = time.monotonic()
        await stop(self.body, 0)  # nothing should be there; were something, two engines would share the memory of one
        looking = asyncio.create_task(asyncio.to_thread(_weights_cached, self.body))
        for last_try in (False, True):
            try:
                await TRANSITIONS[source].wake(self.body, self._host)
                with self.body.phase("canary"):
                    await while_alive(self._tree(), prove_fresh(self.body, self._host))
                break
            except TierError as error:
                if last_try or not (await self._died_of_its_caches(str(error)) or await self._lost_its_port()):
                    raise
                self.body.phases.clear()
        self._held = await measure(self._tree(), self.body.model.gpu_memory)
        self._weights_cached = await looking
        if self._host.caches is not None:
            self._host.caches.keep(self.body.model_name, self.body.engine, self.body.prepared)
        if self.body.sandboxed:
            await self._dump(time.monotonic() - began)

    async def _dump(self, seconds: float) -> None:
        """Make a snapshot of the engine, which has served nobody yet, if that is worth it."""
        images = self._host.images
        images.started(self.body.model_name, seconds, self._weights_cached, always=self._always_dump)
        launch = sandboxed_launch(self.body.model_name, self.body.model, self.body.engine)
        with self.body.phase("snapshot"):
            await while_alive(self._tree(), images.after_start(self.body, launch, self._host, always=self._always_dump))

    async def _died_of_its_caches(self, reason: str) -> bool:
        """Whether what an earlier start compiled may be why the engine crashed; then it is out of the way now."""
        tree, caches = self.body.tree, self._host.caches
        if tree is None or caches is None or not tree.exited.done() or tree.exited.result().signal not in _CRASHES:
            return False
        await stop(self.body, 0)
        return await asyncio.to_thread(caches.distrust, self.body.prepared, reason)

    async def _lost_its_port(self) -> bool:
        """Whether the engine ended because somebody else took the port before it could."""
        tree = self.body.tree
        if tree is None or not tree.exited.done():
            return False
        await stop(self.body, 0)
        return self._host.port_was_taken(self.body.replica_id)

    async def _rest(self, source: Tier, target: Tier) -> None:
        if not target.has_process:
            await TRANSITIONS[target].rest(self.body, source, self._host)
            self._host.give_back_port(self.body.replica_id)
            self._held = Resources()
            return
        tree = self._tree()
        await TRANSITIONS[target].rest(self.body, source, self._host)
        if tree.exited.done():
            raise TierError(exit_report(tree.exited.result(), tree.output()))
        self._held = await measure(tree, self.body.model.gpu_memory)

    def _tree(self) -> ProcessTree:
        if self.body.tree is None:
            raise TierError("The engine has ended.")
        return self.body.tree

    async def _tear_down(self) -> None:
        """End what there is. A failure is only logged: whoever waits for the replica must hear of its end."""
        self._held = Resources()
        try:
            await stop(self.body, 0)
        except TierError as error:
            log.error("%s: %s", self.body.replica_id, error)
        except Exception:
            log.exception("%s could not be ended as it should", self.body.replica_id)
        self.body.tree, self.body.canary = None, None
        self._host.give_back_port(self.body.replica_id)

    def _start_watching(self, tier: Tier) -> None:
        if self.body.tree is not None:
            self._trouble = asyncio.get_running_loop().create_future()
            self._watch = asyncio.create_task(self._watch_over(self.body.tree, tier, self._trouble))

    async def _watch_over(self, tree: ProcessTree, tier: Tier, trouble: "asyncio.Future[str]") -> None:
        ended = asyncio.create_task(until_ended(tree))
        beside: list[asyncio.Task[str] | asyncio.Task[None]] = []
        ends: set[asyncio.Future[str]] = {ended, trouble}
        if tier is Tier.RUNNING:
            silent = asyncio.create_task(until_silent(self.body, self._host, self._sleep))
            gpu = self.body.model.gpu_memory
            memory = report_memory(tree, gpu, self._held, self._tell_memory, self._sleep)
            beside += [silent, asyncio.create_task(memory)]
            ends.add(silent)
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ended, *beside):
                task.cancel()
        self._ending = True
        try:
            await self._tear_down()
        finally:
            self._ending = False
        self._observers.on_exit(self.body.replica_id, self._why(done.pop()))

    def _why(self, end: "asyncio.Future[str]") -> str:
        if (error := end.exception()) is None:
            return end.result()
        log.error("Watching %s failed unexpectedly", self.body.replica_id, exc_info=error)
        return f"Unexpected {type(error).__name__}: {error}"

    async def _stop_watching(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            if not self._ending:
                watch.cancel()
            await asyncio.wait({watch})

    def _tell_memory(self, held: Resources) -> None:
        self._held = held
        self._observers.on_memory(self.body.replica_id, held)


def _weights_cached(body: Body) -> float | None:
    """Part of the weights that is in the page cache, by size."""
    sizes: list[tuple[float, int]] = []
    for path in body.engine.weights(body.model):
        share = pagecache.cached_share(path)
        if share is None:
            return None
        sizes.append((share, path.stat().st_size))
    total = sum(size for _, size in sizes)
    return round(sum(share * size for share, size in sizes) / total, 4) if total else None
