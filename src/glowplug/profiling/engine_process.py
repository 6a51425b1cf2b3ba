"""The engine that is being profiled: its processes, its output, its end."""

import asyncio
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from glowplug.checkpoint import processes
from glowplug.engines.base import Launch
from glowplug.node.exits import OomWatch
from glowplug.node.guardian import Guardian, Order
from glowplug.node.logs import LogRing
from glowplug.node.process_tree import GuardedTree
from glowplug.node.strays import MARK
from glowplug.profiling.live_error import LiveError
from glowplug.tiers.base import ExitCause, TierError
from glowplug.tiers.exit_report import exit_report
from glowplug.tiers.process import STOP_GRACE

_GUARDIAN_START = 2.0
"""Seconds to wait for the guardian at most; it takes 0.02. Without that only the launch would seem longer."""

_GUARDIAN_PAUSE = 0.002
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "busybox"})


class EngineProcess:
    """A command with everything that it starts, held by a guardian (see node/guardian_script.py).

    Whatever ends this program ends the engine too. Its output comes through one pipe.
    """

    def __init__(self, on_output: Callable[[bytes], None]) -> None:
        """Start the guardian, which takes some milliseconds that are not the engine's. Raises LiveError."""
        try:
            self._guardian = Guardian()
        except OSError as error:
            raise LiveError(f"The process that guards the engine cannot be started: {error.strerror}.") from error
        self._ring = LogRing()
        self._ring.listen(on_output)
        self._mark = f"profile-{uuid.uuid4().hex[:12]}"
        self._tree = GuardedTree(self._guardian, self._mark, self._ring, OomWatch())
        self._started = False

    @property
    def root(self) -> int:
        """The process that everything of the engine descends from."""
        return self._guardian.pid

    @property
    def pid(self) -> int:
        """The engine's main process."""
        return self._tree.pid

    async def ready(self) -> None:
        """Wait until the guardian waits for the order, so that its own start is no part of the engine's."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GUARDIAN_START):
                while True:
                    if self._guardian_waits():
                        return
                    await asyncio.sleep(_GUARDIAN_PAUSE)

    async def launch(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Start the command and return once its program runs. Raises LiveError."""
        self._started = True
        order = Order(Launch(argv), {"PYTHONUNBUFFERED": "1", **env, MARK: self._mark}, None)
        try:
            await self._tree.start(order, lambda: None)
        except TierError as error:
            raise LiveError(f"{argv[0]}: {error}") from error

    def _guardian_waits(self) -> bool:
        """It takes its name as the last thing before it waits."""
        try:
            return Path(f"/proc/{self._guardian.pid}/comm").read_text().startswith("glowplug-guard")
        except OSError:
            return True

    def main_processes(self) -> Sequence[int]:
        """The main process, or what a shell in its place has started."""
        if (program := _program(self.pid)) is not None and program in _SHELLS:
            return processes.children(self.pid)
        return [self.pid]

    async def ended(self) -> ExitCause:
        """Wait for the end of the main process."""
        return await asyncio.shield(self._tree.exited)

    def last_words(self, cause: ExitCause) -> str:
        """How the engine ended, and the line of its output that says most about it."""
        return exit_report(cause, self._tree.output())

    def hurry(self) -> None:
        """Kill all of it now."""
        self._guardian.hurry()

    async def stop(self) -> None:
        """End all of it: SIGTERM, after some seconds SIGKILL. Raises TierError if something does not end."""
        if self._started:
            await self._tree.stop(STOP_GRACE)
        else:
            self._guardian.dismiss()


def _program(pid: int) -> str | None:
    """Name of the program that a process runs; None if it is gone or not ours to see."""
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name  # noqa: PTH115
    except OSError:
        return None
