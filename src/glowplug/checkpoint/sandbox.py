"""What a sandbox is to hold, and whether one can be made here. `sandbox_init.py` is what runs in it."""

import functools
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glowplug.checkpoint import sandbox_init

PORT = 8000
"""Where an engine listens in a sandbox: every sandbox has all ports for itself."""

PROXY_PORT = 3128
"""Where an engine in a sandbox finds the way out, if it has one."""

_TMP = Path("/tmp")  # noqa: S108
_TRIAL_TIMEOUT = 20.0
_TRIAL = """
import os, sys
sys.path.insert(0, sys.argv[1])
import sandbox_init, seccomp
try:
    sandbox_init.unshare_pids()
    child = os.fork()
    if child == 0:
        try:
            sandbox_init.make_private({"mounts_of": None, "visible": []})
            seccomp.hide_io_uring()
        except OSError as error:
            os.write(1, str(error.strerror).encode())
            os._exit(1)
        os._exit(0)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
except OSError as error:
    os.write(1, str(error.strerror).encode())
    os._exit(1)
"""


@dataclass(frozen=True, slots=True)
class Restore:
    """What CRIU is to bring back in a fresh sandbox.

    `argv` starts CRIU; `pid` is the engine's id in there; `fill` are pairs of a directory and the private one that gets
    a copy of its contents before.
    """

    argv: Sequence[str]
    pid: int
    fill: Sequence[tuple[Path, Path]]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The surroundings of one engine.

    `mounts_of` names the mount namespace to begin from, None for that of the server. `visible` are the directories
    below /tmp that the engine needs, `kept` pairs of a directory and the one in /tmp that it is seen as; all else there
    is its own. `restore` is None for an engine that is to be started.
    """

    visible: Sequence[Path] = ()
    kept: Sequence[tuple[Path, Path]] = ()
    mounts_of: Path | None = None
    restore: Restore | None = None

    def as_plan(self, *, network: bool) -> dict[str, Any]:
        """For `sandbox_init.run`; `network` if it is to have a way out."""
        restore = None
        if self.restore is not None:
            restore = {
                "argv": list(self.restore.argv),
                "pid": self.restore.pid,
                "fill": [(str(source), str(target)) for source, target in self.restore.fill],
            }
        return {
            "mounts_of": None if self.mounts_of is None else str(self.mounts_of),
            "visible": [(str(path), str(path)) for path in self.visible]
            + [(str(source), str(path)) for source, path in self.kept],
            "listen": PROXY_PORT if network else None,
            "restore": restore,
        }


def visible_directories(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The directories directly in /tmp that hold any of the paths, so that a private /tmp does not hide them.

    Whole ones, because what lies beside is often needed too: a virtual environment and the sources installed in it.
    """
    found: set[Path] = set()
    for path in paths:
        for spelling in (path, path.resolve()):
            if _TMP in spelling.parents:
                top = _TMP / spelling.relative_to(_TMP).parts[0]
                if top.is_dir():
                    found.add(top)
    return tuple(sorted(found))


@functools.cache
def sandbox_closed() -> str | None:
    """None if sandboxes can be made here, else why not and the remedy. Found out by making one, once (30 ms)."""
    folder = str(Path(sandbox_init.__file__).parent)
    try:
        trial = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _TRIAL, folder],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TRIAL_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"Namespaces cannot be tried here: {error}"
    if trial.returncode == 0:
        return None
    reason = trial.stdout.strip() or "the trial ended unexpectedly"
    return (
        f"Engines cannot be given namespaces of their own ({reason}); run Glowplug as root, in a container --privileged"
    )
