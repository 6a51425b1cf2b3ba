"""Child processes that stop or die at a chosen moment of what they do to a store."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

STEPS = ("mkdir", "rmdir", "open", "write", "pwrite", "ftruncate", "fsync", "link", "rename", "unlink", "symlink")
"""The system calls by which the store changes the disk; `open` also makes files."""


def forked(work: Callable[[], None]) -> int:
    """Run `work` in a child; its pid. The child ends with 0, or with 1 after an error, which is printed."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Run `work` in a child that kills itself before its change number `step`; whether it came so far."""

    def run() -> None:
        left = step

        def counting(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for name in STEPS:
            setattr(os, name, counting(getattr(os, name)))
        work()

    status = os.waitstatus_to_exitcode(os.waitpid(forked(run), 0)[1])
    assert status in (0, -signal.SIGKILL), f"the child failed with {status}"
    return status != 0


class Stopped:
    """A child that reached a moment and waits there until it is released; a context manager."""

    def __init__(self, work: Callable[[Callable[[], None]], None]) -> None:
        """Run `work` in a child; it gets a function to call at the moment. Returns when it was called."""
        reached, go = os.pipe(), os.pipe()

        def moment() -> None:
            os.write(reached[1], b"x")
            os.read(go[0], 1)

        def run() -> None:
            os.close(reached[0])
            os.close(go[1])
            work(moment)

        self.pid = forked(run)
        os.close(reached[1])
        os.close(go[0])
        self._go = go[1]
        self._ended = False
        came = os.read(reached[0], 1)
        os.close(reached[0])
        assert came == b"x", "the child ended before the moment"

    def __enter__(self) -> "Stopped":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            self.kill()

    def release(self) -> None:
        """Let it go on, and wait for its end, which must be a good one."""
        os.write(self._go, b"x")
        assert self._end() == 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._end()

    def _end(self) -> int:
        self._ended = True
        os.close(self._go)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
