"""Waiting until the repeat before has left the machine, so that one repeat does not pay for another."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from glowplug.checkpoint import processes
from glowplug.node.memory import host_memory

_LOOK_EVERY = 0.25
"""Seconds between two looks. The kernel tells nobody of memory that has become free, so it has to be looked for."""

_MEMORY_SLACK = 0.02
"""Part of the machine's memory that may be missing: the system's own coming and going is about one per cent."""

_BUSY_LIMIT = 0.2
"""Part of all cores that may be at work between two looks: the bench and an idle system use a few per cent."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How the waiting went: seconds, and what was still wrong when patience ended (None if all was well)."""

    seconds: float
    trouble: str | None


class Quiet:
    """Knows the machine as it was before the first repeat."""

    def __init__(self) -> None:
        self._available = host_memory().available
        self._total = host_memory().total

    async def settle(self, earlier: Mapping[int, int], patience: float) -> Settled:
        """Wait until the processes `earlier` (pid and start time) are gone, their memory is back and the CPU is idle.

        Gives up after `patience` seconds: a machine that is never quiet is measured all the same, and marked.
        """
        began = time.monotonic()
        while True:
            before = _cpu_times()
            await asyncio.sleep(_LOOK_EVERY)
            trouble = self._trouble(earlier, busy_share(before, _cpu_times()))
            seconds = time.monotonic() - began
            if trouble is None or seconds > patience:
                return Settled(round(seconds, 2), trouble)

    def _trouble(self, earlier: Mapping[int, int], busy: float) -> str | None:
        if left := [pid for pid, start_time in earlier.items() if _same_process(pid, start_time)]:
            return f"{len(left)} processes of the repeat before are still there"
        missing = self._available - host_memory().available
        if missing > self._total * _MEMORY_SLACK:
            return f"{missing / 1024**2:.0f} MiB less memory are available than before the first repeat"
        if busy > _BUSY_LIMIT:
            return f"other work keeps {busy:.0%} of the CPU busy"
        return None


def busy_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Part of the CPU time of all cores between two readings of (idle, total) that was not idle, 0 to 1."""
    total = after[1] - before[1]
    return 1 - (after[0] - before[0]) / total if total > 0 else 0.0


def _cpu_times() -> tuple[int, int]:
    """Idle and total ticks of all cores since boot (proc_stat(5)); waiting for a disk counts as idle."""
    with Path("/proc/stat").open("rb") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def _same_process(pid: int, start_time: int) -> bool:
    stat = processes.read_stat(pid)
    return stat is not None and not stat.dead and stat.start_time == start_time
