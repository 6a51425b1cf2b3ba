"""Engines in sandboxes of their own, what they say from inside, and what of a sandbox is still there."""

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.sandbox import Restore, Sandbox, sandbox_closed, visible_directories
from glowplug.engines.base import Launch
from glowplug.node.process_tree import GuardedTree
from glowplug.node.supervisor import Supervisor
from tests.node.programs import printed

ROOT = Path(__file__).parents[2]
KINDS = ("pid", "mnt", "ipc", "net")
"""The namespaces that a sandbox has of its own."""


def surroundings(*paths: Path, **settings: Any) -> Sandbox:
    """A sandbox in which Python can run, and in which the paths are seen; or a skipped test."""
    if reason := sandbox_closed():
        pytest.skip(reason)
    visible = visible_directories([Path(sys.executable), ROOT, *paths])
    return Sandbox(**{"visible": visible, **settings})


def hanging(kind: str, folder: Path) -> Sandbox:
    """One that never gets ready: at the `start`, or because a `restore` does not come to an end."""
    if kind == "restore":
        return surroundings(restore=Restore(["/bin/sleep", "1000"], 901, []))
    fifo = folder / "fifo"  # opening it waits for a writer, who does not come
    os.mkfifo(fifo)
    return surroundings(mounts_of=fifo)


def names(root: int) -> list[str]:
    """The names of all descendants of a process."""
    found: list[str] = []
    for pid in processes.descendants(root):
        with suppress(OSError):
            found.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return found


async def spawn(supervisor: Supervisor, script: str, replica_id: str = "model-0", **settings: Any) -> GuardedTree:
    """Start a shell script in a sandbox and wait until it says that it is ready."""
    launch = Launch(["sh", "-c", script], network=settings.pop("network", False))
    tree = await supervisor.spawn(replica_id, launch, surroundings(*settings.pop("paths", ()), **settings))
    await printed(supervisor, "ready", replica_id)
    return tree


async def said(supervisor: Supervisor, launch: Launch) -> Any:
    """What a program in a sandbox prints as JSON before it ends."""
    tree = await supervisor.spawn("said-0", launch, surroundings())
    await asyncio.wait({tree._cleaning})
    assert (await tree.exited).code == 0, tree.output()
    return json.loads(tree.output()[-1])


def namespaces(pid: int) -> dict[str, str]:
    """The names of the namespaces of a process, by kind."""
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS}


def still_used(names: Iterable[str]) -> set[str]:
    """Which namespaces a process is in, or a process holds open, or is mounted somewhere we see."""
    wanted = set(names)
    found: set[str] = set()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        for link in _links(pid):
            if link in wanted:
                found.add(link)
    return found | {name for name in wanted if name in Path("/proc/self/mountinfo").read_text()}


def _links(pid: int) -> Iterable[str]:
    for folder in (f"/proc/{pid}/ns", f"/proc/{pid}/fd"):
        try:
            for name in os.listdir(folder):
                yield os.readlink(f"{folder}/{name}")
        except OSError:
            continue


class Traces:
    """What of a sandbox could be left behind, noted while it runs."""

    def __init__(self, tree: GuardedTree) -> None:
        assert tree.init is not None
        self.names = set(namespaces(tree.init).values())
        self.pids = [tree.root, tree.init, *tree.pids()]
        self.group = tree.cgroup
        self.mounts = _mounts()

    def left(self) -> list[str]:
        """What is there still."""
        alive = [f"process {pid}" for pid in self.pids if processes.alive(pid)]
        group = [str(self.group)] if self.group is not None and self.group.exists() else []
        return [*alive, *group, *sorted(still_used(self.names)), *sorted(_mounts() - self.mounts)]


def _mounts() -> set[str]:
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def descriptors() -> dict[str, str]:
    """What this process has open, without what /proc made to look."""
    found: dict[str, str] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


def groups_of(state_dir: Path) -> list[Path]:
    """Cgroups that a server with this state directory has left."""
    instance = (state_dir / "instance").read_text()
    return [path for place in cgroups.hierarchies() for path in place.own.glob(f"glowplug-{instance}-*")]
