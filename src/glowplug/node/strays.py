"""Ending processes that no guardian holds any more. They are known by their cgroup and by a mark in their environment.

Every process that a server starts inherits the mark. It goes by environment and not by pid, so it cannot hit a process
that got the pid of a dead one.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from glowplug.checkpoint import cgroups, processes

MARK = "GLOWPLUG_RUN"
_FIRST_WAIT = 0.001
_LONGEST_WAIT = 0.1


def end_strays(mark: str | None, groups: list[Path], timeout: float) -> list[int]:
    """Kill what is in the cgroups or has a mark that begins so; remove the cgroups; pids that live on regardless.

    Without a mark only the cgroups are looked at, which is quick. Blocks for at most `timeout` seconds. Nobody tells
    of the end of a process that is not our child, so it is looked for with growing pauses.
    """
    deadline = time.monotonic() + timeout
    wait = _FIRST_WAIT
    while True:
        for group in groups:
            cgroups.kill(group)
        for pid in _marked(mark):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        groups = [group for group in groups if not cgroups.remove(group)]
        left = _marked(mark) + [pid for group in groups for pid in cgroups.members(group)]
        if (not left and not groups) or time.monotonic() > deadline:
            return left
        time.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)


def _marked(mark: str | None) -> list[int]:
    if mark is None:
        return []
    return [pid for pid in processes.tagged(MARK, mark) if pid != os.getpid() and processes.alive(pid)]
