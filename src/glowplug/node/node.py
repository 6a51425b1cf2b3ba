"""One machine that runs replicas: the node's face to the layers above."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from glowplug.artifacts.digests import Digests
from glowplug.artifacts.errors import StoreError
from glowplug.artifacts.store import ArtifactStore
from glowplug.config.models import Config, ModelConfig
from glowplug.config.resolve import snapshot_of, start_timeout_of, tiers_of
from glowplug.engines import registry
from glowplug.engines.base import Engine
from glowplug.node import memory
from glowplug.node.host import LocalHost
from glowplug.node.image_space import NoImageSpace
from glowplug.node.landed import Landed
from glowplug.node.logs import LogRing
from glowplug.node.ports import PortPool
from glowplug.node.replica import CALLED_OFF, HowToStart, Observers, Replica
from glowplug.node.snapshot_orders import NotMade, Order
from glowplug.node.snapshot_start import open_snapshots
from glowplug.node.snapshot_views import SnapshotListing, Views
from glowplug.node.store import Store
from glowplug.node.supervisor import Supervisor
from glowplug.node.watching import Sleep
from glowplug.scheduler.values import Resources, Tier
from glowplug.tiers.base import Body
from glowplug.tiers.caches import CompileCaches
from glowplug.tiers.process import STOP_GRACE
from glowplug.tiers.registry import TRANSITIONS
from glowplug.tiers.snapshot import machine_closed

log = logging.getLogger(__name__)


class Node:
    """Carries out wakes and rests on this machine.

    Everything runs in one event loop, the one in which `start` was called. `store` is the state database.
    """

    def __init__(
        self,
        config: Config,
        state_dir: Path,
        *,
        on_exit: Callable[[str, str], None],
        on_memory: Callable[[str, Resources], None] = lambda _replica_id, _held: None,
        on_snapshot: Callable[[str, Resources | None, str], None] = lambda _model, _held, _reason: None,
        on_images: Callable[[Resources], None] = lambda _held: None,
        engine_of: Callable[[str], Engine] = registry.get,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the state directory.

        Args:
            config: the whole configuration.
            state_dir: where measurements and run state are kept; one server at a time.
            on_exit: called with a replica's id and a sentence when its engine, running or parked, ended by itself and
                its remains are cleaned up. Not called for what `wake` and `rest` report.
            on_memory: called with a running replica's id and what it holds when that has changed.
            on_snapshot: called with a model's name and what its snapshot holds, once for all its replicas; or with None
                and why it has none (any more).
            on_images: called with what process images hold in memory when that has changed, and after `release_images`.
            engine_of: the adapter of an engine's name; raises EngineError.
            sleep: waits between looks at running engines.

        Raises:
            StateDirError: another server works there, or it cannot be written.
            EngineError: a model names an unknown engine.
        """
        self._engine_of = engine_of
        self._on_exit = on_exit
        self._observers = Observers(self._exited, on_memory)
        self._sleep = sleep
        self._on_snapshot, self._on_images = on_snapshot, on_images
        self._replicas: dict[str, Replica] = {}
        self._bases: dict[str, Tier] = {}
        # Replicas whose wake was called off before its task ran, so that there was nothing to cancel.
        self._called_off: set[str] = set()
        self._config = config
        self._engines = self._engines_of(config)
        self._find_bases()
        self._state_dir = state_dir = state_dir.expanduser()
        self._supervisor = Supervisor(state_dir)
        self._host = LocalHost(self._supervisor, PortPool(*config.node.engine_ports), state_dir)
        self.store = Store(state_dir / "state.sqlite")
        self._no_snapshots = ""  # or why not
        self._artifacts = self._open_artifacts()

    async def start(self) -> None:
        """End what an earlier server left behind, and get ready."""
        await self._supervisor.start()
        if self._artifacts is not None and machine_closed() is None:
            await self._open_snapshots(self._artifacts)

    def update(self, config: Config) -> None:
        """Use another configuration for starts from now on. Raises EngineError."""
        engines = self._engines_of(config)
        # Before the change: what it removes may still be on its way, and needs its base tier until it has ended.
        in_use = {replica.body.model_name for replica in self._replicas.values()}
        for name in [name for name in self._bases if name not in in_use and name not in self._config.models]:
            del self._bases[name]
        self._config, self._engines = config, engines
        self._find_bases()
        self.forget_all_but(lambda _replica_id: True)

    def forget_all_but(self, known: Callable[[str], bool]) -> None:
        """Drop what is kept, logs included, of replicas without a process that are not known or not configured."""
        for replica_id, replica in list(self._replicas.items()):
            if replica.idle and not (known(replica_id) and replica.body.model_name in self._config.models):
                self._forget(replica_id)

    def capacity(self) -> Resources:
        """What the replicas of this machine may hold together."""
        return memory.capacity(self._config.node)

    def base_tier(self, model: str) -> Tier:
        """The tier in which a replica of the model has no process: `cached`, or `cold` if weights are missing here."""
        return self._bases[model]

    def tiers(self, model: str) -> tuple[Tier, ...]:
        """The tiers that the model may use here, warmest first, the base tier last."""
        wanted = tiers_of(self._config, self._config.models[model])
        closed = self._closed(model)
        between = [
            tier
            for tier in Tier
            if tier in TRANSITIONS and tier.rank < Tier.CACHED.rank and tier not in closed
            if wanted is None or tier in wanted
        ]
        return (Tier.RUNNING, *between, self.base_tier(model))

    def closed_tiers(self, model: str) -> Mapping[Tier, str]:
        """The tiers that the model cannot use here, and why; for display also a snapshot that is not worth it."""
        closed = self._closed(model)
        if self._host.snapshots is not None and (reason := self._host.snapshots.declined(model)):
            return {Tier.SNAPSHOT: reason, **closed}
        return closed

    def release_images(self, shortfall: Resources) -> None:
        """Free memory of process images that nobody uses; `on_images` is called in any case."""
        if self._host.snapshots is None:
            self._on_images(Resources())
        else:
            self._host.snapshots.release(shortfall.ram)

    @asynccontextmanager
    async def ordered_snapshot(self, model: str) -> AsyncGenerator[Order, None]:
        """While inside, the next start of a model makes a snapshot; see `Snapshots.ordered`. Raises NotMade."""
        if reason := self._closed(model).get(Tier.SNAPSHOT):
            raise NotMade(f"Model {model!r} can have no snapshot: {reason.rstrip('.')}.")
        if Tier.SNAPSHOT not in self.tiers(model):
            raise NotMade(f"Model {model!r} can have no snapshot: its tiers leave it out; add snapshot to them.")
        if self._host.snapshots is None:
            raise NotMade(f"No snapshot can be made here: {self._no_snapshots}")
        async with self._host.snapshots.ordered(model) as order:
            yield order

    async def settled_snapshots(self) -> None:
        """Wait until everything that was dumped is published, or given up."""
        if self._host.snapshots is not None:
            await self._host.snapshots.settled()

    async def rescan_snapshots(self) -> None:
        """Take note of snapshots that somebody removed from the store or put into it."""
        if self._host.snapshots is not None:
            try:
                await self._host.snapshots.rescan(self._config.models)
            except StoreError as error:
                log.warning("The snapshots could not be looked through: %s", error)

    async def snapshots(self) -> SnapshotListing:
        """What is in the store. Raises StoreError."""
        if self._artifacts is None:
            return SnapshotListing()
        views = Views(self._config.models, Digests(self._state_dir / "digests"))
        return await asyncio.to_thread(views.listing, self._artifacts)

    def _closed(self, model: str) -> Mapping[Tier, str]:
        """The tiers that the model cannot use here, and why. One that does not exist yet is named only if asked for."""
        config = self._config.models[model]
        closed: dict[Tier, str] = {
            tier: f"this version of Glowplug has no tier {tier.value} yet"
            for tier in tiers_of(self._config, config) or ()
            if tier is not Tier.RUNNING and tier not in TRANSITIONS
        }
        if snapshot_of(self._config, config) == "off":
            closed[Tier.SNAPSHOT] = "it is switched off (snapshot: off)"
        for tier, transition in TRANSITIONS.items():
            if tier not in closed and (reason := transition.closed(config, self._engines[model])):
                closed[tier] = reason
        return closed

    async def wake(self, replica_id: str, model: str, source: Tier) -> Landed:
        """Bring a replica to running and prove that it answers. Failures are told in the result, not raised."""
        try:
            landed = await self._wake(replica_id, model, source)
        finally:
            self._called_off.discard(replica_id)
        self._remember(model, source, Tier.RUNNING, landed)
        self._forget_if_removed(replica_id, model)
        if landed.cold_start is not None:
            self.store.cold_start(model, landed.cold_start)
        return landed

    async def rest(self, replica_id: str, model: str, source: Tier, target: Tier) -> Landed:
        """Bring a replica to a colder tier. Failures are told in the result, not raised."""
        try:
            landed = await self._rest(replica_id, model, source, target)
        finally:
            self._called_off.discard(replica_id)
        self._remember(model, source, target, landed)
        self._forget_if_removed(replica_id, model)
        if source is Tier.SNAPSHOT and self._host.snapshots is not None:
            await self._host.snapshots.remove(model)
        return landed

    async def check(self, replica_id: str) -> bool:
        """Whether a running replica still gives a real answer. One that does not is ended; `on_exit` tells of it."""
        replica = self._replicas.get(replica_id)
        return replica is not None and await replica.check()

    def abort(self, replica_id: str) -> None:
        """Call off the transition of a replica: it is torn down, and its `wake` or `rest` returns so.

        A wake whose task has not begun yet leaves the replica as it is and returns so, too.
        """
        replica = self._replicas.get(replica_id)
        if replica is None or not replica.abort():
            self._called_off.add(replica_id)

    def pid(self, replica_id: str) -> int | None:
        """The main process of a replica's engine, for display."""
        replica = self._replicas.get(replica_id)
        return None if replica is None or replica.body.tree is None else replica.body.tree.pid

    def log(self, replica_id: str) -> LogRing:
        """What the engines of a replica printed, and will print."""
        return self._supervisor.ring(replica_id)

    async def close(self) -> None:
        """End every process and close every file. Raises TierError if a process does not end."""
        await asyncio.gather(*(replica.close() for replica in self._replicas.values()))
        if self._host.snapshots is not None:
            await self._host.snapshots.close()
        try:
            await self._supervisor.close(STOP_GRACE)
        finally:
            await self._host.close()
            await asyncio.to_thread(self.store.close)

    async def _wake(self, replica_id: str, model: str, source: Tier) -> Landed:
        if model not in self._config.models:
            await self._end(replica_id)
            return self._removed(model)
        if replica_id in self._called_off:
            if source.has_process and self.pid(replica_id) is not None:
                return Landed(source, 0.0, CALLED_OFF)
            return Landed(self._bases[model], 0.0, CALLED_OFF, measured=Resources())
        replica = self._replica(replica_id, model)
        if not source.has_process:
            replica.configure(self._how_to_start(model))
        return await replica.wake(source)

    async def _rest(self, replica_id: str, model: str, source: Tier, target: Tier) -> Landed:
        if model not in self._config.models and replica_id not in self._replicas:
            return self._removed(model)  # its engine has ended by itself
        return await self._replica(replica_id, model).rest(source, target)

    def _removed(self, model: str) -> Landed:
        return Landed(self._bases[model], 0.0, "The model is no longer configured.", measured=Resources())

    def _exited(self, replica_id: str, reason: str) -> None:
        self._forget_if_removed(replica_id, self._replicas[replica_id].body.model_name)
        self._on_exit(replica_id, reason)

    async def _end(self, replica_id: str) -> None:
        """Leave nothing of a replica whose model is no longer configured."""
        if replica := self._replicas.get(replica_id):
            await replica.end()
        self._forget(replica_id)

    def _forget_if_removed(self, replica_id: str, model: str) -> None:
        replica = self._replicas.get(replica_id)
        if replica is not None and replica.idle and model not in self._config.models:
            self._forget(replica_id)

    def _forget(self, replica_id: str) -> None:
        """The replica has no process and will not come back."""
        self._replicas.pop(replica_id, None)
        self._supervisor.discard_ring(replica_id)

    def _replica(self, replica_id: str, model: str) -> Replica:
        if replica_id not in self._replicas:
            how = self._how_to_start(model)
            body = Body(replica_id, model, how.model, how.engine, how.start_timeout, how.sandboxed)
            self._replicas[replica_id] = Replica(body, self._bases[model], self._host, self._observers, self._sleep)
        return self._replicas[replica_id]

    def _how_to_start(self, model: str) -> HowToStart:
        config = self._config.models[model]
        return HowToStart(
            config,
            self._engines[model],
            start_timeout_of(self._config, config),
            sandboxed=self._host.snapshots is not None and Tier.SNAPSHOT in self.tiers(model),
            always_dump=snapshot_of(self._config, config) == "always",
        )

    def _open_artifacts(self) -> ArtifactStore | None:
        """Get ready to keep what engines compile. If that fails, they compile anew each time."""
        try:
            store = ArtifactStore(self._state_dir / "artifacts", quota=self._config.node.disk)
        except StoreError as error:
            self._no_snapshots = str(error)
            log.warning("Nothing can be kept for later starts: %s", error)
            return None
        self._host.caches = CompileCaches(self._state_dir / "caches", store, self._config.node.disk)
        return store

    async def _open_snapshots(self, store: ArtifactStore) -> None:
        """Get ready to dump and restore. If that fails, engines run without."""
        try:
            self._host.snapshots = await open_snapshots(
                store, self._config.node, self._state_dir, self.store.costs(), self._on_snapshot, self._on_images
            )
            await self._host.snapshots.start(self._config.models)
        except (NoImageSpace, StoreError) as error:
            self._no_snapshots = str(error)
            log.warning("There are no snapshots: %s", error)

    def _remember(self, model: str, source: Tier, target: Tier, landed: Landed) -> None:
        self.store.transition(
            model,
            source,
            target,
            seconds=landed.seconds,
            ram=landed.measured.ram if landed.measured is not None else 0,
            reason=landed.error,
        )

    def _engines_of(self, config: Config) -> Mapping[str, Engine]:
        return {name: self._engine_of(model.engine) for name, model in config.models.items()}

    def _find_bases(self) -> None:
        for name, model in self._config.models.items():
            # Fixed once known: the scheduler counts on it, even if weights come or go.
            self._bases.setdefault(name, self._find_base(model, self._engines[name]))

    @staticmethod
    def _find_base(model: ModelConfig, engine: Engine) -> Tier:
        return Tier.COLD if TRANSITIONS[Tier.CACHED].closed(model, engine) else Tier.CACHED
