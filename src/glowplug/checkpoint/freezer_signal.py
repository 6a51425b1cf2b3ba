"""Freezing with SIGSTOP and SIGCONT, for hosts whose cgroups may not be written. Needs no privilege.

A program cannot refuse SIGSTOP, but some of its system calls (epoll_wait, for one) return EINTR after SIGCONT; every
serious server repeats them (signal(7), "Interruption of system calls by stop signals").
"""

import os
import signal
import time
from collections.abc import Callable, Sequence

from glowplug.checkpoint import processes
from glowplug.checkpoint.freeze_error import FreezeError

_FIRST_WAIT = 0.0002
_LONGEST_WAIT = 0.005
"""Nothing tells of a thread's stop, so it must be looked for: seconds between two looks, from the first on."""


class SignalFreezer:
    """SIGSTOP to every process of a tree until none is found that still runs."""

    def __init__(self, members: Callable[[], Sequence[int]]) -> None:
        self._members = members

    def freeze(self, timeout: float) -> None:
        """See `Freezer.freeze`."""
        try:
            self._stop_all(time.monotonic() + timeout)
        except FreezeError as error:
            self.thaw(timeout)
            raise FreezeError(str(error), runs=True) from error

    def _stop_all(self, deadline: float) -> None:
        wait = _FIRST_WAIT
        standing: list[int] = []
        while True:
            # One look is not enough: a child can be born by a process that was not stopped yet when its turn came.
            # Two equal looks in a row are, because nothing that stands still has children or ends.
            seen = list(self._members())
            running = [pid for pid in seen if not _stopped(pid)]
            if not running and seen == standing:
                return
            standing = [] if running else seen
            for pid in running:
                _send(pid, signal.SIGSTOP)
                _release_vfork(pid)
            if time.monotonic() > deadline:
                raise FreezeError(f"not every process of the engine stopped in time after SIGSTOP: {running or seen}")
            if any(processes.alive(pid) for pid in running):
                time.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)

    def thaw(self, timeout: float) -> None:
        """See `Freezer.thaw`."""
        deadline = time.monotonic() + timeout
        wait = _FIRST_WAIT
        while True:
            # Children first: a parent that runs again should not find a child stopped.
            still = [pid for pid in reversed(self._members()) if "T" in processes.thread_states(pid)]
            if not still:
                return
            if time.monotonic() > deadline:
                raise FreezeError(f"process {still[0]} did not run again within {timeout:g} s of SIGCONT")
            for pid in still:
                _send(pid, signal.SIGCONT)
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    def frozen(self) -> bool:
        """See `Freezer.frozen`."""
        members = self._members()
        return bool(members) and all(_stopped(pid) for pid in members)


def _stopped(pid: int) -> bool:
    """Whether no thread of the process can run: each is stopped or dead. False if the process is gone."""
    states = processes.thread_states(pid)
    return bool(states) and all(state in "TZX" for state in states)


def _release_vfork(pid: int) -> None:
    """Let a process finish starting another one, if that is why it does not stop.

    A parent sleeps uninterruptibly from vfork(2), which shells and posix_spawn use, until its child executes a program.
    If the child was stopped just before that, both would stay as they are for ever. The next look stops it again.
    """
    if "D" in processes.thread_states(pid):
        for child in processes.children(pid):
            if _stopped(child):
                _send(child, signal.SIGCONT)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise FreezeError(f"process {pid} of the engine runs as another user and cannot be stopped") from error
