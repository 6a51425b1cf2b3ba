"""Python stacks of busy processes while nothing else tells what they do, with py-spy (extra `glowplug[pyspy]`)."""

import asyncio
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from glowplug.node.tree_sampler import Lifetime, TreeSampler
from glowplug.profiling.live_error import LiveError

INTERVAL = 1.0
"""Seconds between two looks. One takes py-spy about 0.1 s of processor time for each process."""

BUSY = 0.3
"""Cores that a process keeps busy from which on its stack is worth a look."""

_TIMEOUT = 10.0
_DEEPEST = 5
_MOST_STACKS = 10
_WAITING = frozenset(
    {
        ("connection.py", "_recv"),
        ("connection.py", "_poll"),
        ("queue.py", "get"),
        ("queues.py", "get"),
        ("selectors.py", "select"),
        ("socket.py", "accept"),
        ("subprocess.py", "_try_wait"),
        ("thread.py", "_worker"),
        ("threading.py", "_wait_for_tstate_lock"),
        ("threading.py", "wait"),
    }
)
"""Functions of the standard library in which threads wait, by file."""

_PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")


@dataclass(frozen=True, slots=True)
class StackSample:
    """One stack that was seen: `stack` with its innermost functions first, at a time of `time.monotonic`."""

    at: float
    stack: str


def find_py_spy() -> str:
    """The program, beside this Python or on the PATH. Raises LiveError."""
    beside = Path(sys.executable).with_name("py-spy")
    if (program := str(beside) if beside.exists() else shutil.which("py-spy")) is None:
        raise LiveError("py-spy is not installed; install it with: pip install 'glowplug[pyspy]'.")
    if os.geteuid() != 0 and _ptrace_scope() != 0:
        raise LiveError(
            "The kernel does not let py-spy look into other processes (kernel.yama.ptrace_scope is not 0); "
            "run this as root, or once: sysctl kernel.yama.ptrace_scope=0."
        )
    return program


class StackWatch:
    """Looks at the busy Python processes of a tree as long as `unexplained` is true."""

    def __init__(self, program: str, sampler: TreeSampler, unexplained: Callable[[], bool]) -> None:
        self._program = program
        self._sampler = sampler
        self._unexplained = unexplained
        self._samples: list[StackSample] = []
        self._not_python: set[int] = set()

    @property
    def samples(self) -> Sequence[StackSample]:
        """What was seen so far, oldest first."""
        return tuple(self._samples)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if self._unexplained():
                for process in self._busy():
                    await self._look(process.pid)
            await asyncio.sleep(INTERVAL)

    def between(self, start: float, end: float) -> Sequence[tuple[str, float]]:
        """The most frequent stacks between two moments, each with its share of all that were seen then."""
        seen = Counter(sample.stack for sample in self._samples if start <= sample.at <= end)
        total = seen.total()
        return [(stack, round(count / total, 4)) for stack, count in seen.most_common(_MOST_STACKS)]

    def _busy(self) -> Sequence[Lifetime]:
        return [life for life in self._sampler.living if life.load >= BUSY and life.pid not in self._not_python]

    async def _look(self, pid: int) -> None:
        at = time.monotonic()
        # Without stopping the process: a stack that changes meanwhile is worth less than an undisturbed start.
        process = await asyncio.create_subprocess_exec(
            self._program, "dump", "--json", "--nonblocking", "--pid", str(pid),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_TIMEOUT):
                output, trouble = await process.communicate()
        except BaseException as error:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(error, TimeoutError):
                return
            raise
        if process.returncode != 0:
            if b"Failed to find python version" in trouble or b"python interpreter" in trouble:
                self._not_python.add(pid)
            return
        self._samples += [StackSample(at, stack) for stack in read_stacks(output)]


def read_stacks(output: bytes) -> Sequence[str]:
    """The stacks of the active threads in what `py-spy dump --json` printed; empty for what is no such output.

    A thread that was not stopped for the look counts as active to py-spy although it waits in the kernel; where it
    waits shows in its innermost function.
    """
    try:
        threads = cast("list[dict[str, Any]]", json.loads(output))
        active = [thread for thread in threads if thread["active"]]
        return [stack for thread in active if not _waits(thread["frames"]) and (stack := _stack(thread["frames"]))]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _waits(frames: Sequence[dict[str, Any]]) -> bool:
    return bool(frames) and (Path(frames[0]["filename"]).name, frames[0]["name"].rpartition(".")[2]) in _WAITING


def _stack(frames: Sequence[dict[str, Any]]) -> str:
    """The innermost functions, the last one called first, imports without the machinery of the interpreter."""
    told = [frame for frame in frames if "importlib._bootstrap" not in str(frame["filename"])] or frames
    return " < ".join(f"{frame['name']} ({_place(frame)})" for frame in told[:_DEEPEST])


def _place(frame: dict[str, Any]) -> str:
    filename = frame.get("short_filename") or frame["filename"]
    return f"{filename}:{frame['line']}" if frame.get("line") else str(filename)


def _ptrace_scope() -> int:
    try:
        return int(_PTRACE_SCOPE.read_text())
    except (OSError, ValueError):  # a kernel without Yama asks nothing more than the same user
        return 0
