"""Driving CRIU: the dump of an engine out of its sandbox, and the command that restores it into another.

CRIU runs inside the namespaces of the sandbox, as the first process's sibling of the engine, so the namespaces
themselves are not part of the image: the restore begins with fresh ones that look the same. Its command line is used
rather than its RPC: the service (`criu swrk`) is the same program started the same way for each job.
"""

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from glowplug.checkpoint import processes
from glowplug.checkpoint.criu_binary import Criu

DUMP_LOG = "dump.log"
RESTORE_LOG = "restore.log"
RESTORE_STATISTICS = "stats-restore"
_LONGEST_LOG = 1 << 20
"""Characters that are kept. A few lines are usual at this verbosity."""

_SHARED = (
    # The network of the sandbox is private and stands still with its processes: nobody has to be kept from sending.
    "--tcp-established",
    "--file-locks",
    # Deleted files that are still open: semaphores in /dev/shm by a second name, others within the image.
    *("--link-remap", "--ghost-limit", "256M"),
    "--ext-unix-sk",
    "--manage-cgroups=ignore",
    "-v2",
)


class CriuError(Exception):
    """CRIU did not dump. `log` is what it wrote; `names` are the processes' by their ids in there."""

    def __init__(self, log: str, names: Mapping[int, str]) -> None:
        super().__init__("CRIU did not dump")
        self.log = log
        self.names = names


@dataclass(frozen=True, slots=True)
class Place:
    """Where CRIU works. `images` and `work` are the directories as the sandbox sees them, `log_folder` is `work` as we
    do."""

    images: Path
    work: Path
    log_folder: Path


def dump(criu: Criu, *, init: int, engine: int, place: Place, timeout: float) -> None:
    """Write the image of an engine's process tree and leave the tree stopped. Blocks.

    Args:
        criu: the program.
        init: first process of the sandbox.
        engine: the engine's process in the numbers of the sandbox.
        place: where to.
        timeout: seconds; a CRIU that takes longer is killed, and the tree must be ended then.

    Raises:
        CriuError: it could not be dumped; the tree runs on as if nothing had been.
        TimeoutError: it was killed.
        OSError: it could not be started.
    """
    argv = [
        *("nsenter", "--target", str(init), "--pid", "--mount", "--net", "--ipc", "--"),
        *criu.argv,
        *("dump", "--tree", str(engine), "--leave-stopped", "--images-dir", str(place.images)),
        *("--work-dir", str(place.work), "--log-file", DUMP_LOG, "--network-lock", "skip"),
        *_SHARED,
    ]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"CRIU took longer than {timeout:g} s") from error
    if done.returncode != 0:
        log = read_log(place.log_folder / DUMP_LOG) or done.stdout + done.stderr
        raise CriuError(log, _names(processes.descendants(init)))


def restore_command(criu: Criu, place: Place, pipe: str) -> Sequence[str]:
    """What restores an image, run by the first process of a fresh sandbox; `pipe` is the name that the engine's output
    had. The pipe at CRIU's own standard output takes its place."""
    return [
        *criu.argv,
        *("restore", "--restore-detached", "--images-dir", str(place.images)),
        *("--work-dir", str(place.work), "--log-file", RESTORE_LOG),
        *("--inherit-fd", f"fd[1]:{pipe}"),
        *_SHARED,
    ]


def read_log(path: Path) -> str:
    """What CRIU wrote; nothing if it wrote nothing."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def keep_log(log: str, path: Path) -> Path:
    """Put what CRIU wrote where the user finds it, in place of what was there; the path. Raises OSError."""
    path.write_text(log[:_LONGEST_LOG])
    return path


def inner_pid(pid: int) -> int:
    """The number of a process in its own PID namespace. Raises OSError if it is gone."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return pid


def _names(pids: Iterable[int]) -> Mapping[int, str]:
    names: dict[int, str] = {}
    for pid in pids:
        with suppress(OSError):
            names[inner_pid(pid)] = Path(f"/proc/{pid}/comm").read_text().strip()
    return names


def resume(pids: Iterable[int]) -> None:
    """Let a tree that CRIU left stopped run on."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
