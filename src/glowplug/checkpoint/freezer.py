"""Freezing and thawing a whole process tree, verified: all of it stands still, or all of it runs and you are told."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from glowplug.checkpoint import processes
from glowplug.checkpoint.freezer_cgroup import CgroupV1Freezer, CgroupV2Freezer
from glowplug.checkpoint.freezer_signal import SignalFreezer

Members = Callable[[], Sequence[int]]
"""Reads the pids of all processes of a tree, parents first."""


class Freezer(Protocol):
    """One way to stop a tree. Both calls block for about a millisecond, at most for `timeout` seconds."""

    def freeze(self, timeout: float) -> None:
        """Stop every thread of every process, children born meanwhile included.

        Raises:
            FreezeError: something could not be stopped. With `runs`, everything is known to run again.
        """
        ...

    def thaw(self, timeout: float) -> None:
        """Let everything run again.

        Raises:
            FreezeError: something still stands still.
        """
        ...

    def frozen(self) -> bool:
        """Whether the tree stands still now."""
        ...


def freezer_for(members: Members, cgroup: Path | None) -> Freezer:
    """The best freezer for a tree: that of its own cgroup, else signals."""
    if cgroup is not None and (cgroup / "cgroup.freeze").exists():
        return CgroupV2Freezer(cgroup, members)
    if cgroup is not None and (cgroup / "freezer.state").exists():
        return CgroupV1Freezer(cgroup, members)
    return SignalFreezer(members)


def freezer_closed() -> str | None:
    """None if process trees can be frozen here, else why not and the remedy."""
    if not processes.alive(os.getpid()):
        return "Process trees cannot be frozen because /proc is not mounted; mount it with: mount -t proc proc /proc"
    return None
