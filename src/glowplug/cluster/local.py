"""The fleet on one machine: the scheduler's inbox, its clock and its hands.

Everything happens on one event loop. `_post` is the only way into the scheduler; it runs to its end without awaiting,
so there is one writer and no lock. Slow effects become tasks that report back through `_post`.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from glowplug.artifacts.errors import StoreError
from glowplug.cluster.base import ModelView, Rejected
from glowplug.cluster.broadcast import Broadcast
from glowplug.cluster.lease import LocalLease
from glowplug.cluster.specs import aliases, model_specs, relaunched
from glowplug.cluster.views import model_view
from glowplug.config.models import Config
from glowplug.config.resolve import start_timeout_of
from glowplug.node.doctor.examine import examine
from glowplug.node.doctor.report import Report
from glowplug.node.node import Landed, Node
from glowplug.node.snapshot_orders import NotMade
from glowplug.node.snapshot_views import SnapshotListing, SnapshotMade
from glowplug.scheduler.core import Scheduler
from glowplug.scheduler.costs import WakeCosts
from glowplug.scheduler.effects import (
    Abort,
    Check,
    Drained,
    Effect,
    Grant,
    Refused,
    Reject,
    RejectKind,
    ReleaseImages,
    Rest,
    TierChanged,
    Wake,
)
from glowplug.scheduler.events import (
    DrainAsked,
    Event,
    ImagesHeld,
    MemoryMeasured,
    ModelsChanged,
    Outcome,
    ReplicaChecked,
    ReplicaExited,
    RequestArrived,
    RestartAsked,
    RestAsked,
    SnapshotGone,
    SnapshotReady,
    TimerFired,
    TransitionEnded,
)
from glowplug.scheduler.policies.registry import POLICIES
from glowplug.scheduler.values import Resources, Tier

T = TypeVar("T")
log = logging.getLogger("glowplug.cluster")


class LocalCluster:
    """One machine's models behind `glowplug.cluster.base.Cluster`. Use `start` and `close` on a running loop."""

    def __init__(
        self,
        config: Config,
        key_shares: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        """Take the node's state directory. Raises StateDirError."""
        self._config = config
        self._names = aliases(config)
        self._node = Node(
            config,
            config.node.state_dir,
            on_exit=self._exited,
            on_memory=self._measured,
            on_snapshot=self._snapshot_changed,
            on_images=self._images_changed,
        )
        costs = WakeCosts()
        for cost in self._node.store.costs():
            costs.record(cost.model, cost.tier, cost.seconds)
        self._scheduler = Scheduler(self._node.capacity(), POLICIES["fixed"](), costs, key_shares=key_shares)
        self._ids = itertools.count(1)
        self._leases: dict[int, LocalLease] = {}
        self._moves: dict[str, asyncio.Task[Landed]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._last_wakes: dict[str, Mapping[str, Any]] = {}
        self._broadcast = Broadcast()
        self._drained = asyncio.Event()
        self._draining = False
        self._examination: asyncio.Future[Report] | None = None

    async def start(self) -> None:
        """Begin to serve: pinned models start to wake."""
        self._loop = asyncio.get_running_loop()
        await self._node.start()
        self._post(ModelsChanged(model_specs(self._config, self._node)))

    async def reload(self, config: Config, key_shares: Mapping[str, float]) -> None:
        """Serve another set of models. Limits change at once; engines that must be started anew are, once idle."""
        relaunch = relaunched(self._config, config)
        self._node.update(config)
        specs = model_specs(config, self._node)
        self._config, self._names = config, aliases(config)
        self._post(ModelsChanged(specs, relaunch, key_shares))
        self._node.forget_all_but(self._scheduler.knows)
        await self._node.rescan_snapshots()
        self._broadcast.send("reload", models=list(config.models), relaunch=sorted(relaunch))

    async def drain(self, timeout: float) -> None:
        """Accept nothing new and wait, up to `timeout` seconds, until what runs is finished and stopped."""
        self._draining = True
        self._post(DrainAsked())
        try:
            await asyncio.wait_for(self._drained.wait(), timeout)
        except TimeoutError:
            log.warning("requests were still running after %.0f s of draining; they are cut off", timeout)

    async def close(self) -> None:
        """End every process, whatever it does."""
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._node.close()
        self._broadcast.close()

    def resolve(self, name: str) -> str | None:
        """The configured model behind a name or alias, or None."""
        return self._names.get(name)

    def lease(self, model: str, *, key: str = "", timeout: float | None = None) -> LocalLease:
        """A replica of a configured model, within `timeout` seconds (None: the configured queue timeout)."""
        wait = self._config.server.queue_timeout if timeout is None else timeout
        arrival = RequestArrived(next(self._ids), model, key, self._clock() + wait)
        self._node.store.arrival(model)
        return LocalLease(arrival, self._post, self._leases)

    def names(self) -> Sequence[str]:
        """All configured model names, without aliases."""
        return list(self._config.models)

    def models(self) -> Sequence[ModelView]:
        """All configured models, for display."""
        now = self._clock()
        return [
            model_view(
                model,
                self._config.models[model.name],
                self._scheduler,
                now,
                self._node.pid,
                self._last_wakes.get(model.name),
                self._node.closed_tiers(model.name),
            )
            for model in self._scheduler.models
            if model.name in self._config.models
        ]

    @property
    def image_memory(self) -> int:
        """Bytes of RAM that snapshots are kept in, ready to be restored."""
        return self._scheduler.images.ram

    async def wake(self, model: str, timeout: float | None = None) -> None:
        """Wake a replica and wait until it runs, `timeout` seconds as for a lease. Raises Rejected."""
        lease = self.lease(model, timeout=timeout)
        await lease.__aenter__()
        lease.end(Outcome.LEFT)  # nothing was asked, so it proves nothing

    async def rest(self, model: str, tier: Tier | None = None) -> None:
        """Rest the replicas of a model to `tier` (None: one step colder) and wait for it. Raises Rejected."""
        await self._operate(RestAsked(model, tier))

    async def restart(self, model: str) -> None:
        """End the processes of a model and forget its quarantines. Raises Rejected."""
        await self._operate(RestartAsked(model))

    async def create_snapshot(self, model: str) -> SnapshotMade:
        """Start a model anew and wait until a snapshot of it is published. Raises Rejected."""
        began = self._clock()
        timeout = start_timeout_of(self._config, self._config.models[model]) + self._config.server.queue_timeout
        try:
            async with self._node.ordered_snapshot(model) as order:
                await self._operate(RestartAsked(model))
                await self.wake(model, timeout)
                await self._node.settled_snapshots()
                return SnapshotMade.of(order.result(), self._clock() - began)
        except NotMade as error:
            raise Rejected(RejectKind.REFUSED, str(error)) from error

    async def snapshots(self) -> SnapshotListing:
        """The snapshots that are kept here, and what is wrong with others. Raises Rejected."""
        try:
            return await self._node.snapshots()
        except StoreError as error:
            raise Rejected(RejectKind.REFUSED, str(error)) from error

    async def examine(self) -> Mapping[str, Any]:
        """What this machine can do, found out by trying. Who asks while that goes on gets the same answer."""
        if self._examination is None or self._examination.done():
            trying = asyncio.to_thread(examine, self._config.node.state_dir, self._config)
            self._examination = asyncio.ensure_future(trying)
        return (await asyncio.shield(self._examination)).as_json()

    def events(self) -> AsyncIterator[Mapping[str, Any]]:
        """What happens from now on."""
        return self._broadcast.listen()

    def cold_starts(self, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """Recorded cold starts, newest first."""
        return self._node.store.cold_starts(limit)

    def logs(self, replica_id: str, *, follow: bool = False) -> AsyncIterator[str]:
        """Lines an engine printed. Raises KeyError."""
        if not self._scheduler.knows(replica_id):
            raise KeyError(replica_id)
        ring = self._node.log(replica_id)
        return ring.follow() if follow else _each(ring.lines())

    @property
    def ready(self) -> bool:
        """Whether pinned models run and the server is not draining."""
        return not self._draining and all(
            sum(replica.serves for replica in model.replicas) >= model.floor for model in self._scheduler.models
        )

    def _post(self, event: Event) -> list[Effect]:
        """Hand one event to the scheduler and carry out what it wants."""
        effects = self._scheduler.handle(event, self._clock())
        for effect in effects:
            self._carry_out(effect)
        self._arm_timer()
        return effects

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Grant() | Reject():
                if (lease := self._leases.get(effect.request_id)) is not None:
                    lease.resolve(effect)
            case Wake() | Rest():
                self._moves[effect.replica_id] = self._run(self._move(effect))
            case Abort():
                self._node.abort(effect.replica_id)
            case ReleaseImages():
                # Later: the node may answer at once, and what else this event led to comes first.
                self._loop.call_soon(self._node.release_images, effect.shortfall)
            case Check():
                self._run(self._check(effect.replica_id))
            case TierChanged():
                self._broadcast.send(
                    "tier",
                    replica=effect.replica_id,
                    model=effect.model,
                    origin=effect.origin,
                    before=effect.before,
                    after=effect.after,
                    seconds=effect.seconds,
                    reason=effect.reason,
                )
            case Drained():
                self._drained.set()
            case Refused():
                pass  # `_operate` finds it among the effects

    async def _move(self, effect: Wake | Rest) -> Landed:
        try:
            if isinstance(effect, Wake):
                landed = await self._node.wake(effect.replica_id, effect.model, effect.source)
            else:
                landed = await self._node.rest(effect.replica_id, effect.model, effect.source, effect.target)
        except Exception as error:
            # The node tells of failures in its result; a bug must not leave the replica in its transition for ever.
            log.exception("a transition of %s broke down", effect.replica_id)
            landed = Landed(Tier.CACHED, 0.0, f"internal error, see the server's log: {error}")
        self._moves.pop(effect.replica_id, None)
        if isinstance(effect, Wake):
            self._tell_wake(effect, landed)
        self._post(
            TransitionEnded(
                effect.replica_id,
                effect.transition_id,
                landed.tier,
                landed.error,
                landed.address,
                landed.measured,
                landed.seconds,
            )
        )
        return landed

    def _tell_wake(self, effect: Wake, landed: Landed) -> None:
        details = {"from": effect.source, "seconds": round(landed.seconds, 4)}
        if landed.error is None:
            self._last_wakes[effect.model] = {**details, "at": datetime.now(UTC).isoformat(timespec="milliseconds")}
        self._broadcast.send(
            "wake",
            model=effect.model,
            replica=effect.replica_id,
            tier=effect.source,
            outcome="ok" if landed.error is None else "failed",
            seconds=landed.seconds,
            reason=landed.error,
        )

    async def _check(self, replica_id: str) -> None:
        if await self._node.check(replica_id):
            self._post(ReplicaChecked(replica_id))

    async def _operate(self, wish: RestAsked | RestartAsked) -> None:
        effects = self._post(wish)
        for effect in effects:
            if isinstance(effect, Refused):
                raise Rejected(RejectKind.REFUSED, effect.message)
        moves = [self._moves[effect.replica_id] for effect in effects if isinstance(effect, Rest)]
        if moves:
            await asyncio.wait(moves)  # unlike gather, leaves the moves alone if the operator's client disconnects
        for move in moves:
            if (error := move.result().error) is not None:
                raise Rejected(RejectKind.REFUSED, error)

    def _exited(self, replica_id: str, reason: str) -> None:
        self._post(ReplicaExited(replica_id, reason))

    def _measured(self, replica_id: str, held: Resources) -> None:
        self._post(MemoryMeasured(replica_id, Tier.RUNNING, held))

    def _snapshot_changed(self, model: str, held: Resources | None, reason: str) -> None:
        self._post(SnapshotGone(model, reason) if held is None else SnapshotReady(model, held))
        self._broadcast.send(
            "snapshot",
            model=model,
            ready=held is not None,
            disk=0 if held is None else held.disk,
            reason=reason or None,
        )

    def _images_changed(self, held: Resources) -> None:
        self._post(ImagesHeld(held))

    def _arm_timer(self) -> None:
        at = self._scheduler.next_timer()
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at is None else self._loop.call_later(at - self._clock(), self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_at = None, None
        self._post(TimerFired())

    def _run(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _each(lines: Sequence[str]) -> AsyncIterator[str]:
    for line in lines:
        yield line
