"""A running engine as the tiers see it: its processes, its output, its end."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.connections import StillConnected, require_none_outside
from glowplug.checkpoint.freezer import freezer_for
from glowplug.checkpoint.sandbox_addresses import NOWHERE, close_address, open_address
from glowplug.engines.base import LOOPBACK
from glowplug.node.exits import OomWatch
from glowplug.node.guardian import Guardian, Order, Started
from glowplug.node.logs import LogRing
from glowplug.node.outbound import Outbound
from glowplug.node.strays import end_strays
from glowplug.tiers.base import ExitCause, TierError

log = logging.getLogger(__name__)

KILL_TIMEOUT = 10.0
"""Seconds after SIGKILL until a process that is still there is reported. Only one that waits for a device or a network
file system takes more than a moment."""


_CLOSING_TIMEOUT = 1.0
_CLOSING_PAUSE = 0.01


class GuardedTree:
    """Implements `tiers.base.ProcessTree` with a guardian process at the root."""

    def __init__(self, guardian: Guardian, mark: str | None, ring: LogRing, oom: OomWatch) -> None:
        """`mark` is in the environment of all its processes. In a sandbox, which ends whole, they have none."""
        self.pid = 0
        self.cgroup: Path | None = None
        self.ip = LOOPBACK
        self.init: int | None = None
        self.output_pipe = guardian.output_pipe
        self._guardian = guardian
        self._mark = mark
        self._ring = ring
        self._first_line = ring.written
        self._oom = oom
        self._outbound: Outbound | None = None
        self._init_ended: int | None = None
        self._exited: asyncio.Future[ExitCause] = asyncio.get_running_loop().create_future()

    async def start(self, order: Order, on_gone: Callable[[], None]) -> None:
        """Start the engine. `on_gone` is called once nothing of the tree is left. Raises TierError."""
        self._guardian.watch(self._ring.feed, self._engine_exited)
        self._cleaning = asyncio.create_task(self._clean_up(order.cgroup, on_gone))
        try:
            started = await self._guardian.launch(order)
            self.pid = started.pid
            self.cgroup = order.cgroup if started.in_cgroup else None
            if started.init is not None:
                await self._enter_sandbox(started, started.init)
        except BaseException:
            self._guardian.hurry()
            await asyncio.wait({self._cleaning}, timeout=KILL_TIMEOUT)
            raise

    @property
    def root(self) -> int:
        """The process that everything of the tree descends from: its guardian, which is not part of the engine."""
        return self._guardian.pid

    @property
    def exited(self) -> "asyncio.Future[ExitCause]":
        """See `ProcessTree.exited`."""
        return self._exited

    def pids(self) -> Sequence[int]:
        """See `ProcessTree.pids`."""
        if self._cleaning.done():
            return self._cleaning.result()
        found = processes.descendants(self._guardian.pid)
        known = set(found)
        if self.cgroup is not None:
            found += [pid for pid in cgroups.members(self.cgroup) if pid not in known]
        # The first process of a sandbox is no part of the engine: frozen, it could not tell of the engine's end.
        return [pid for pid in found if pid != self.init and processes.alive(pid)]

    def output(self) -> Sequence[str]:
        """See `ProcessTree.output`."""
        self._guardian.read_output()
        return self._ring.lines(self._first_line)

    async def stop(self, grace: float) -> ExitCause:
        """See `ProcessTree.stop`. A frozen tree gets no grace: it could not use it.

        Raises:
            TierError: a process does not even end after SIGKILL.
        """
        if grace > 0 and not self._cleaning.done() and not freezer_for(self.pids, self.cgroup).frozen():
            for pid in self.pids():
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGTERM)
            await asyncio.wait({self._cleaning}, timeout=grace)
        self._guardian.hurry()
        # Cleaning up is bounded by KILL_TIMEOUT as well, once the guardian is gone.
        done, _ = await asyncio.wait({self._cleaning}, timeout=2 * KILL_TIMEOUT)
        if left := self._cleaning.result() if done else self.pids():
            raise TierError(f"Processes {list(left)} of the engine do not end after SIGKILL; see the kernel log.")
        return self._exited.result()

    @asynccontextmanager
    async def cut_off(self) -> AsyncGenerator[None, None]:
        """While inside, no connection leads out of the engine's sandbox. See `ProcessTree.cut_off`."""
        assert self.init is not None
        if self._outbound is not None:
            self._outbound.close()
        try:
            await self._nothing_outside(self.init)
            yield
        finally:
            if self._outbound is not None and not self._cleaning.done():
                await self._let_out_again(self._outbound, self.init)

    async def _nothing_outside(self, init: int) -> None:
        # What was just closed may be there for a moment.
        deadline = time.monotonic() + _CLOSING_TIMEOUT
        while True:
            try:
                await asyncio.to_thread(require_none_outside, init, self.pids())
            except StillConnected:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_CLOSING_PAUSE)
            except OSError as error:
                raise TierError("The engine has ended.") from error
            else:
                return

    async def _let_out_again(self, outbound: Outbound, init: int) -> None:
        try:
            await outbound.reopen(init)
        except FileNotFoundError:
            pass  # the sandbox has just ended, which is told elsewhere
        except OSError as error:
            raise TierError(f"The engine's way out cannot be opened again: {error.strerror}.") from error

    async def _enter_sandbox(self, started: Started, init: int) -> None:
        self.init = init
        try:
            self._init_ended = os.pidfd_open(init)
            self.ip = open_address(init)
            if started.listening is not None:
                self._outbound = Outbound()
                await self._outbound.open(started.listening)
        except (FileNotFoundError, ProcessLookupError):
            self.ip = NOWHERE  # it has ended already, which is told elsewhere
        except OSError as error:
            raise TierError(f"The engine's network cannot be reached: {error.strerror}.") from error

    def _engine_exited(self, cause: ExitCause) -> None:
        self._exited.set_result(self._oom.ended(cause, self.cgroup))

    async def _clean_up(self, group: Path | None, on_gone: Callable[[], None]) -> list[int]:
        """Wait until the guardian is gone, then see to it that nothing is left; what is left all the same."""
        as_it_should = await self._guardian.gone()
        close_address(self.ip)
        if self._outbound is not None:
            self._outbound.close()
        self._ring.flush()
        mark = None if as_it_should else self._mark
        groups = [] if group is None else [group]
        left = await asyncio.to_thread(end_strays, mark, groups, KILL_TIMEOUT)
        if self._init_ended is not None:
            # If the guardian was killed, the kernel ends the sandbox; its first process is the last to go.
            await _readable(self._init_ended, KILL_TIMEOUT)
            os.close(self._init_ended)
        if left:
            log.error("Processes %s of an engine do not end after SIGKILL; see the kernel log", left)
        else:
            on_gone()
        return left


async def _readable(descriptor: int, timeout: float) -> None:
    """Wait until there is something to read, or the time is over."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        async with asyncio.timeout(timeout):
            await ready.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(descriptor)
