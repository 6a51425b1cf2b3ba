"""What the fake engine does to its own process: memory it holds, children it has, ways to die."""

import mmap
import os
import signal
import time
from typing import NoReturn

_PAGE = mmap.PAGESIZE
_FORK_INTERVAL = 0.02
_GRANDCHILD_LIFE = 0.2


class HeldMemory:
    """Memory that is really there: every page is written to, and freeing it gives it back to the kernel."""

    def __init__(self) -> None:
        self._pages: mmap.mmap | None = None

    def hold(self, size: int) -> None:
        """Allocate and touch `size` bytes, if nothing is held yet."""
        if size and self._pages is None:
            self._pages = mmap.mmap(-1, size)
            for offset in range(0, size, _PAGE):
                self._pages[offset] = 1

    def free(self) -> None:
        """Give everything back."""
        if self._pages is not None:
            self._pages.close()
            self._pages = None


def crash(how: str) -> NoReturn:
    """End the process by `exit:CODE` or `signal:NUMBER`, or `hang` and answer nothing any more."""
    kind, _, number = how.partition(":")
    print(f"fake engine: crashing on purpose ({how})", flush=True)
    if kind == "exit":
        os._exit(int(number))
    if kind == "signal":
        os.kill(os.getpid(), int(number))
    while True:
        time.sleep(3600)


def start_children(count: int, forking: bool) -> None:
    """Fork `count` children that wait for their end and, if `forking`, one more that keeps forking short-lived ones.

    They have default signal handling except for signals that are ignored already.
    """
    for _ in range(count):
        if os.fork() == 0:
            _wait_forever()
    if forking and os.fork() == 0:
        _fork_forever()


def _wait_forever() -> NoReturn:
    while True:
        signal.pause()


def _fork_forever() -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps them
    while True:
        if os.fork() == 0:
            time.sleep(_GRANDCHILD_LIFE)
            os._exit(0)
        time.sleep(_FORK_INTERVAL)
