"""Which processes this server has started, on disk, so that the next server can end what a killed one left behind."""

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from glowplug.checkpoint import cgroups, processes
from glowplug.node.strays import end_strays

_SWEEP_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """One engine's process tree. It is written before the engine starts.

    `guardian` and `start_time` (clock ticks since boot) name the process that everything descends from; with the boot
    id they cannot be mistaken for a later process with the same pid.
    """

    mark: str
    replica_id: str
    guardian: int
    start_time: int
    boot_id: str
    cgroup: str | None


class RunTable:
    """One small file per process tree in a directory."""

    def __init__(self, directory: Path, instance: str) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._instance = instance

    def record(self, run: Run) -> None:
        """Write it down. Raises OSError.

        Not flushed to disk: after a power failure there is no process left to find.
        """
        temporary = self._directory / f"{run.mark}.new"
        temporary.write_text(json.dumps(asdict(run)))
        temporary.rename(self._directory / f"{run.mark}.json")

    def forget(self, mark: str) -> None:
        """The tree is gone."""
        (self._directory / f"{mark}.json").unlink(missing_ok=True)

    def sweep(self) -> list[str]:
        """End what an earlier server of this directory left behind; replica ids of trees that were found alive.

        Blocks while processes end, 10 seconds at most. What does not end stays in the table for the next sweep.
        """
        runs = self._read()
        groups = {Path(run.cgroup) for run in runs if run.cgroup and Path(run.cgroup).is_dir()}
        groups.update(self._leftover_groups())
        found = [run for run in runs if _guardian_lives(run)]
        # A guardian whose server is gone is at this already; it may have been stopped, or be slow.
        guarded = [pid for run in found for pid in reversed(processes.descendants(run.guardian))]
        for pid in guarded:
            _kill(pid)
        _await_end(guarded, _SWEEP_TIMEOUT)
        left = end_strays(f"{self._instance}-", sorted(groups), _SWEEP_TIMEOUT)
        for run in found:
            if _guardian_lives(run) and not any(map(processes.alive, processes.descendants(run.guardian))):
                _kill(run.guardian)
        if not left:
            for run in runs:
                self.forget(run.mark)
        return [run.replica_id for run in found]

    def _leftover_groups(self) -> list[Path]:
        pattern = f"glowplug-{self._instance}-*"
        return [group for hierarchy in cgroups.hierarchies() for group in hierarchy.own.glob(pattern)]

    def _read(self) -> list[Run]:
        runs: list[Run] = []
        for path in self._directory.glob("*.json"):
            try:
                runs.append(Run(**json.loads(path.read_text())))
            except (OSError, ValueError, TypeError):
                path.unlink(missing_ok=True)
        return runs


def _guardian_lives(run: Run) -> bool:
    if run.boot_id != processes.boot_id():
        return False
    stat = processes.read_stat(run.guardian)
    return stat is not None and not stat.dead and stat.start_time == run.start_time


def _await_end(pids: list[int], timeout: float) -> None:
    """Wait until killed processes are gone. Nobody tells of the end of what is not our child."""
    deadline = time.monotonic() + timeout
    while any(map(processes.alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.001)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
