"""Starts engines so that none outlives the server: each has a guardian, a record on disk and, if possible, a cgroup."""

import asyncio
import logging
import os
import uuid
from contextlib import suppress
from pathlib import Path

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.sandbox import Sandbox
from glowplug.checkpoint.sandbox_environment import environment_for_sandbox
from glowplug.engines.base import Launch
from glowplug.node.exits import OomWatch
from glowplug.node.guardian import Guardian, Order
from glowplug.node.logs import LogRing
from glowplug.node.process_tree import GuardedTree
from glowplug.node.runs import Run, RunTable
from glowplug.node.state_lock import StateLock
from glowplug.node.strays import MARK
from glowplug.tiers.base import TierError

log = logging.getLogger(__name__)

_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
"""So that what Python engines print comes when they print it, as on a terminal; through a pipe it would come late."""


class Supervisor:
    """All process trees of one server.

    Keeps one spare guardian ready, so that starting an engine does not wait for a Python interpreter to start (about
    20 ms of a cold start, for 6 MB of memory).
    """

    def __init__(self, state_dir: Path) -> None:
        """Take the state directory for this process. Raises StateDirInUse."""
        self._lock = StateLock(state_dir)
        self._runs = RunTable(state_dir / "runs", self._lock.instance)
        self._hierarchy = cgroups.freezable()
        self._oom = OomWatch()
        self._trees: dict[str, GuardedTree] = {}
        self._rings: dict[str, LogRing] = {}
        self._spare: asyncio.Task[Guardian] | None = None

    async def start(self) -> None:
        """End what an earlier server left behind, and get ready."""
        self._prepare_spare()
        if self._hierarchy is None:
            log.warning(
                "Cgroups cannot be written here, so engines are frozen by signals and found by their parents instead; "
                "under systemd, Delegate=yes gives each engine a cgroup"
            )
        for replica_id in await asyncio.to_thread(self._runs.sweep):
            log.warning("Ended the engine of %s that an earlier server left behind", replica_id)

    async def spawn(self, replica_id: str, launch: Launch, sandbox: Sandbox | None = None) -> GuardedTree:
        """Start a process tree for a replica. Call it in the event loop's thread. Raises TierError."""
        mark = f"{self._lock.instance}-{uuid.uuid4().hex[:8]}"
        guardian = await self._take_spare()
        group = self._make_group(mark)
        tree = GuardedTree(guardian, mark if sandbox is None else None, self.ring(replica_id), self._oom)
        self._trees[mark] = tree
        try:
            self._record(mark, replica_id, guardian, group)
        except OSError as error:
            # Without the record the engine is still guarded; only the sweep after two kills would miss it.
            log.warning("The start of %s could not be recorded: %s", replica_id, error)
        order = Order(launch, _environment(launch, sandbox, mark), group, sandbox)
        await tree.start(order, lambda: self._forget(mark))
        self._prepare_spare()
        return tree

    def ring(self, replica_id: str) -> LogRing:
        """What the engines of a replica printed, over all its starts."""
        return self._rings.setdefault(replica_id, LogRing())

    def discard_ring(self, replica_id: str) -> None:
        """The replica will not come back: its followers end."""
        if ring := self._rings.pop(replica_id, None):
            ring.close()

    async def close(self, grace: float) -> None:
        """End every tree and give the state directory back. Raises TierError if something does not end."""
        results = await asyncio.gather(*(tree.stop(grace) for tree in self._trees.values()), return_exceptions=True)
        for replica_id in list(self._rings):
            self.discard_ring(replica_id)
        if self._spare is not None:
            spare, self._spare = self._spare, None
            with suppress(OSError):  # it could not be started
                (await spare).dismiss()
        self._lock.release()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _make_group(self, mark: str) -> Path | None:
        if self._hierarchy is None:
            return None
        group = self._hierarchy.own / f"glowplug-{mark}"
        try:
            group.mkdir()
        except OSError as error:
            log.warning("No cgroup for an engine: %s", error)
            return None
        return group

    def _prepare_spare(self) -> None:
        if self._spare is None:
            self._spare = asyncio.create_task(asyncio.to_thread(Guardian))

    async def _take_spare(self) -> Guardian:
        spare, self._spare = self._spare, None
        try:
            if spare is not None:
                if (guardian := await _handed_over(spare)).ready:
                    return guardian
                guardian.dismiss()
            return await _handed_over(asyncio.create_task(asyncio.to_thread(Guardian)))
        except OSError as error:
            raise TierError(f"The process that guards the engine cannot be started: {error.strerror}.") from error

    def _record(self, mark: str, replica_id: str, guardian: Guardian, group: Path | None) -> None:
        stat = processes.read_stat(guardian.pid)
        start_time = stat.start_time if stat is not None else 0
        cgroup = None if group is None else str(group)
        self._runs.record(Run(mark, replica_id, guardian.pid, start_time, processes.boot_id(), cgroup))

    def _forget(self, mark: str) -> None:
        self._trees.pop(mark, None)
        try:
            self._runs.forget(mark)
        except OSError as error:
            # What stays names a guardian that has ended; the next sweep finds nothing there and clears it.
            log.warning("The end of an engine could not be recorded: %s", error)


def _environment(launch: Launch, sandbox: Sandbox | None, mark: str) -> dict[str, str]:
    if sandbox is None:
        return {**_UNBUFFERED, **os.environ, **launch.env, MARK: mark}
    # What is in there will be in an image on disk, and in every copy restored from it, so no mark of one process tree.
    return {**_UNBUFFERED, **environment_for_sandbox(os.environ, launch.env)}


async def _handed_over(starting: "asyncio.Task[Guardian]") -> Guardian:
    """The guardian that is being started; whoever is cancelled meanwhile leaves none behind. Raises OSError."""
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_dismiss)
        raise


def _dismiss(started: "asyncio.Task[Guardian]") -> None:
    if not started.cancelled() and started.exception() is None:
        started.result().dismiss()
