"""Starting the programs under test, each on its own core, and reading what they cost."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil


class Pinned:
    """A Python module that runs as a process on one core."""

    def __init__(self, process: subprocess.Popen[str], ready: str) -> None:
        self._process = process
        self._psutil = psutil.Process(process.pid)
        self.pid = process.pid
        self.ready = ready

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        times = self._psutil.cpu_times()
        return times.user + times.system

    def memory(self) -> int:
        """Bytes that only this process holds (USS)."""
        return self._psutil.memory_full_info().uss

    def open_files(self) -> int:
        """Number of file descriptors."""
        return self._psutil.num_fds()


@contextmanager
def pinned(core: int | str, module: str, *arguments: str) -> Iterator[Pinned]:
    """Run `python -m module arguments` on `core`; it is ready with the first line it prints."""
    command: Sequence[str] = ["taskset", "-c", str(core), sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        ready = process.stdout.readline().strip()
        if not ready:
            raise RuntimeError(f"{module} did not start")
        yield Pinned(process, ready)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of `values` lie, nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def settle(seconds: float = 0.5) -> None:
    """Let the processes come to rest between measurements."""
    time.sleep(seconds)
