"""Watches what a process tree uses while it starts: ten times a second processor time, disk traffic and memory.

The sum over a tree is exact although processes come and go between two looks: the kernel adds what an ended process
has used to the process that collects it, and the root is a subreaper (see guardian_script.py), so that whatever loses
its parent is collected inside the tree. Only a process whose parent ignores SIGCHLD takes its last moments with it.
"""

import os
import re
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from glowplug.node.process_usage import ProcessUsage, read_command, read_parent, read_usage

INTERVAL = 0.1
"""Seconds between two looks. One takes 0.2 ms of processor time for five small processes, 0.6 ms for vLLM with its
hundreds of threads (on two cores of an AMD EPYC), so looking costs 0.2 to 0.6 % of a core."""

COST = 0.01
"""Part of one core that looking may take. Where a look costs more, looks become rarer."""

_FORGET_STRANGERS = 10.0
"""Seconds after which processes that did not belong to the tree are looked at again: their pids may be used anew."""

_PASSES = 3
_PYTHON = re.compile(r"python[\d.]*t?")
_YOUNG = 1.0
"""Seconds in which a new process may still turn into another program."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A tree at one moment. `cpu` (seconds of one core), `read` and `written` (bytes of disk traffic) count from the
    first sample on; `memory` is what it holds now, memory that several processes share counted once."""

    at: float
    cpu: float
    read: int
    written: int
    memory: int


@dataclass(slots=True)
class Lifetime:
    """One process of the tree. `started` and `last_seen` are times of `time.monotonic`, `cpu` its own seconds so far.

    `command` is what it was started as. `titled` is when a Python process was last seen without a name of its own, and
    `title` that name: programs give it to themselves when they have imported what they need. `load` is how many cores
    it kept busy between the last two looks.
    """

    pid: int
    parent: int
    name: str
    started: float
    last_seen: float
    cpu: float
    command: str = ""
    title: str = ""
    titled: float | None = None
    load: float = 0.0

    @property
    def is_python(self) -> bool:
        """Whether it was started as a Python interpreter."""
        return _PYTHON.fullmatch(PurePath(self.command.partition(" ")[0]).name) is not None


class TreeSampler:
    """Looks at `root` and everything below it, in a thread of its own, from `start` to `stop`.

    What it found may be read from any thread at any time. Times are those of `time.monotonic`.
    """

    def __init__(self, root: int, interval: float = INTERVAL) -> None:
        self._root = root
        self._interval = interval
        self._samples: list[Sample] = []
        self._lifetimes: dict[tuple[int, float], Lifetime] = {}
        self._members: dict[int, ProcessUsage] = {}
        self._strangers: set[int] = set()
        self._strangers_since = 0.0
        self._blind = False
        self._cost = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="glowplug-sampler", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Take the last sample and end. Waits for the look that is going on, which takes about a millisecond.

        Nothing happens if it has not begun, or was stopped before.
        """
        if self._stopped.is_set() or self._thread.ident is None:
            return
        self._stopped.set()
        self._thread.join()
        self.look()

    @property
    def root(self) -> int:
        """The process at whose children and further descendants it looks."""
        return self._root

    @property
    def samples(self) -> Sequence[Sample]:
        """All samples so far, oldest first."""
        return tuple(self._samples)

    @property
    def latest(self) -> Sample | None:
        """The last sample; None if none was taken yet."""
        return self._samples[-1] if self._samples else None

    @property
    def lifetimes(self) -> Sequence[Lifetime]:
        """Every process that was seen, in the order in which they appeared, the root first."""
        return tuple(self._lifetimes.values())

    @property
    def main(self) -> Lifetime | None:
        """The first child of the root: the main process of an engine whose guardian the root is."""
        return next((life for life in self.lifetimes if life.parent == self._root), None)

    @property
    def living(self) -> Sequence[Lifetime]:
        """The processes that were there at the last look, without the root."""
        latest = self.latest
        at = None if latest is None else latest.at
        return [life for life in self.lifetimes if life.last_seen == at and life.pid != self._root]

    @property
    def blind(self) -> bool:
        """Whether the kernel kept the disk traffic of some process from us."""
        return self._blind

    @property
    def cost(self) -> float:
        """Seconds of processor time that looking took so far."""
        return self._cost

    def between(self, start: float, end: float) -> tuple[float, int, int]:
        """Seconds of one core, bytes read and bytes written in an interval, in proportion where it cuts a sample."""
        samples = self.samples
        first, last = _at(samples, start), _at(samples, end)
        return last[0] - first[0], round(last[1] - first[1]), round(last[2] - first[2])

    def look(self) -> None:
        """Take one sample now."""
        began = time.thread_time()
        now = time.monotonic()
        members = self._look_at_all(now)
        self._samples.append(self._sum(now, members))
        self._record(now, members)
        self._members = members
        self._cost += time.thread_time() - began

    def _run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            self.look()
            pause = max(self._interval, self._cost / len(self._samples) / COST)

    def _look_at_all(self, now: float) -> dict[int, ProcessUsage]:
        """What every member has used. A member that is gone has been added to another one, so all are read again."""
        members: dict[int, ProcessUsage] = {}
        for _ in range(_PASSES):
            pids = self._find_members(now)
            found = [usage for pid in pids if (usage := read_usage(pid)) is not None]
            members = {usage.pid: usage for usage in found if self._is_same(usage)}
            if len(found) == len(pids):
                break
        return members

    def _is_same(self, usage: ProcessUsage) -> bool:
        """Whether a member is still the process that it was, and not a later one with its pid."""
        before = self._members.get(usage.pid)
        return before is None or before.started == usage.started

    def _find_members(self, now: float) -> list[int]:
        """Pids of the tree, parents before children, so that nothing is counted twice when one is collected."""
        if now - self._strangers_since > _FORGET_STRANGERS:
            self._strangers.clear()
            self._strangers_since = now
        present = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - hot path
        members = [pid for pid in self._members or (self._root,) if pid in present]
        known = set(members)
        parents = {pid: read_parent(pid) for pid in present - known - self._strangers}
        while born := [pid for pid, parent in parents.items() if parent in known]:
            members += born
            known.update(born)
            for pid in born:
                del parents[pid]
        self._strangers &= present
        self._strangers.update(pid for pid, parent in parents.items() if parent is not None)
        return members

    def _sum(self, now: float, members: dict[int, ProcessUsage]) -> Sample:
        cpu, read, written = _totals(members)
        before = self._samples[-1] if self._samples else None
        if before is not None:
            old_cpu, old_read, old_written = _totals(self._members)
            # A total that falls has lost a process that nobody collected; what it used until then is counted already.
            cpu = before.cpu + max(0.0, cpu - old_cpu)
            read = before.read + max(0, read - old_read)
            written = before.written + max(0, written - old_written)
        else:
            cpu, read, written = 0.0, 0, 0
        usages = members.values()
        # What is shared is counted once: as much as the process with the most of it has.
        memory = sum(usage.private for usage in usages) + max((usage.shared for usage in usages), default=0)
        return Sample(now, cpu, read, written, memory)

    def _record(self, now: float, members: dict[int, ProcessUsage]) -> None:
        before = self._samples[-2].at if len(self._samples) > 1 else now
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        for usage in members.values():
            self._blind |= usage.read is None
            life = self._lifetimes.get((usage.pid, usage.started))
            if life is None:
                started = usage.started - since_boot
                life = Lifetime(usage.pid, usage.parent, usage.name, started, now, usage.cpu)
                self._lifetimes[usage.pid, usage.started] = life
            elif now > before:
                life.load = (usage.cpu - life.cpu) / (now - before)
            if life.titled is None and life.name.startswith("python") and not usage.name.startswith("python"):
                life.title, life.titled = read_command(usage.pid) or usage.name, life.last_seen
            elif now - life.started < _YOUNG or not life.command:
                life.command = read_command(usage.pid)
            life.name, life.last_seen, life.cpu = usage.name, now, usage.cpu


def _totals(members: dict[int, ProcessUsage]) -> tuple[float, int, int]:
    usages = members.values()
    return (
        sum(usage.cpu + usage.inherited_cpu for usage in usages),
        sum(usage.read or 0 for usage in usages),
        sum(usage.written or 0 for usage in usages),
    )


def _at(samples: Sequence[Sample], moment: float) -> tuple[float, float, float]:
    """The counters at a moment, between two samples in proportion, outside them as at the nearest one."""
    after = bisect_right(samples, moment, key=lambda sample: sample.at)
    if after == 0:
        return 0.0, 0.0, 0.0
    low, high = samples[after - 1], samples[min(after, len(samples) - 1)]
    share = (moment - low.at) / (high.at - low.at) if high.at > low.at else 0.0
    return (
        low.cpu + share * (high.cpu - low.cpu),
        low.read + share * (high.read - low.read),
        low.written + share * (high.written - low.written),
    )
