"""The kernel's cgroup freezers, version 2 and version 1."""

import os
import select
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.freeze_error import FreezeError

_NOTIFY_INTERVAL_MS = 10
"""The kernel tells of changes in cgroup.events at most once in 10 ms (CGROUP_FILE_NOTIFY_MIN_INTV), so a change that
follows another one closely is told late. Waits start shorter than that and need not be longer."""

_V1_FIRST_WAIT = 0.0002
_V1_LONGEST_WAIT = 0.005


class _CgroupFreezer(ABC):
    """What both versions share: a freeze that does not succeed for the whole tree is undone."""

    def __init__(self, group: Path, members: Callable[[], Sequence[int]]) -> None:
        self._group = group
        self._members = members

    def freeze(self, timeout: float) -> None:
        """See `Freezer.freeze`."""
        try:
            self._set(True, timeout)
            self._refuse_outsiders()
        except FreezeError as error:
            self._set(False, timeout)
            raise FreezeError(str(error), runs=True) from error

    def thaw(self, timeout: float) -> None:
        """See `Freezer.thaw`."""
        self._set(False, timeout)

    def _refuse_outsiders(self) -> None:
        inside = set(cgroups.members(self._group))
        for pid in self._members():
            if pid not in inside and processes.alive(pid):
                raise FreezeError(f"process {pid} of the engine moved itself out of its cgroup {self._group}")

    def _set(self, frozen: bool, timeout: float) -> None:
        try:
            done = self._reach(frozen, time.monotonic() + timeout)
        except OSError as error:
            raise FreezeError(f"the freezer of cgroup {self._group} cannot be used: {error.strerror}") from error
        if not done:
            state = "frozen" if frozen else "thawed"
            raise FreezeError(f"cgroup {self._group} was not {state} within {timeout:g} s")

    @abstractmethod
    def _reach(self, frozen: bool, deadline: float) -> bool:
        """Ask the kernel for the state and wait for it; false if it was not reached in time. Raises OSError."""


class CgroupV2Freezer(_CgroupFreezer):
    """`cgroup.freeze`. The kernel says when every thread of every member stands still, and tells of the change."""

    def frozen(self) -> bool:
        """See `Freezer.frozen`."""
        try:
            return b"frozen 1" in (self._group / "cgroup.events").read_bytes()
        except OSError:
            return False

    def _reach(self, frozen: bool, deadline: float) -> bool:
        wanted = b"frozen 1" if frozen else b"frozen 0"
        events = os.open(self._group / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        try:
            changed = select.poll()
            changed.register(events, select.POLLPRI)
            (self._group / "cgroup.freeze").write_bytes(b"1" if frozen else b"0")
            wait = 1
            # Reading also arms the notification, so that no change between this look and the wait is lost.
            while wanted not in os.pread(events, 4096, 0):
                if time.monotonic() > deadline:
                    return False
                changed.poll(wait)
                wait = min(wait * 2, _NOTIFY_INTERVAL_MS)
            return True
        finally:
            os.close(events)


class CgroupV1Freezer(_CgroupFreezer):
    """`freezer.state`. The kernel advances from FREEZING to FROZEN only when somebody reads, so it must be asked."""

    def frozen(self) -> bool:
        """See `Freezer.frozen`."""
        try:
            return self._state() == "FROZEN"
        except OSError:
            return False

    def _reach(self, frozen: bool, deadline: float) -> bool:
        wanted = "FROZEN" if frozen else "THAWED"
        wait = _V1_FIRST_WAIT
        while True:
            # Written again each time: a thread that forked just then can leave the group FREEZING for good otherwise.
            (self._group / "freezer.state").write_text(wanted)
            if self._state() == wanted:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(wait)
            wait = min(wait * 2, _V1_LONGEST_WAIT)

    def _state(self) -> str:
        return (self._group / "freezer.state").read_text().strip()
