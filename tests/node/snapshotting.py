"""A node whose engine is dumped at its first start, a CRIU that fails on demand, and what may not be left behind."""

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from glowplug.checkpoint import cgroups, criu_binary, processes
from glowplug.config.models import Config
from glowplug.engines.base import Call
from glowplug.node.landed import Landed
from glowplug.node.node import Node
from glowplug.scheduler.values import Resources, Tier
from tests.node.nodes import R, never
from tests.node.programs import PATIENCE

MIB = 1024**2

_WRAPPER = """#!/bin/sh
mode=$(cat {mode})
case "$mode $1" in
"old --version") echo "Version: 4.1"; exit ;;
"refuses-to-$1 $1") echo "Error (criu/cr-$1.c:1): it was told to"; exit 1 ;;
"dies-in-$1 $1") kill -9 $$ ;;
"hangs-in-$1 $1") echo hangs > {mode}; exec sleep 1000 ;;
"is-killed-in-$1 $1")
    {criu} "$@" & real=$!
    for word; do test "$before" = --work-dir && log=$word/$1.log; before=$word; done
    until test -s "$log" || ! kill -0 $real; do :; done
    kill -9 $real; wait $real; exit 137 ;;
esac
exec {criu} "$@"
"""


def require_criu() -> criu_binary.Criu:
    """The real one, or a skipped test."""
    if reason := criu_binary.criu_closed():
        pytest.skip(reason)
    criu = criu_binary.find()
    assert criu is not None
    return criu


class MoodyCriu:
    """The real CRIU behind a script, which fails as it is told to."""

    def __init__(self, folder: Path, criu: criu_binary.Criu) -> None:
        self._mode = folder / "criu-mode"
        self.path = folder / "criu"
        self.path.write_text(_WRAPPER.format(mode=shlex.quote(str(self._mode)), criu=shlex.join(criu.argv)))
        self.path.chmod(0o755)
        self.does("its work")

    def does(self, mode: str) -> None:
        """From now on; its file looks new, as after an upgrade."""
        self._mode.write_text(mode)
        os.utime(self.path)

    @property
    def hangs(self) -> bool:
        """Whether it was started and does what it was told, to hang."""
        return self._mode.read_text() == "hangs\n"


class Told:
    """What the node told of snapshots, exits and images."""

    def __init__(self) -> None:
        self.snapshots: asyncio.Queue[tuple[Resources | None, str]] = asyncio.Queue()
        self.exits: list[tuple[str, str]] = []
        self.images: list[int] = []

    async def ready(self) -> Resources:
        """What the next snapshot holds."""
        held, reason = await asyncio.wait_for(self.snapshots.get(), PATIENCE)
        assert held is not None, reason
        return held

    async def gone(self) -> str:
        """Why there is no snapshot any more."""
        held, reason = await asyncio.wait_for(self.snapshots.get(), PATIENCE)
        assert held is None
        return reason


def configured(options: dict[str, Any] | None = None, node: dict[str, Any] | None = None, **model: Any) -> Config:
    """One model, `fake`, that is always dumped."""
    settings = {"engine": "fake", "options": options or {}, "start_timeout": "30s", "snapshot": "always", **model}
    return Config.model_validate({"models": {"fake": settings}, "node": node or {}})


@asynccontextmanager
async def snapshotting(
    state_dir: Path, settings: Config | None = None, **arguments: Any
) -> AsyncIterator[tuple[Node, Told]]:
    """A started node that ends with the block, and what it tells."""
    told = Told()
    node = Node(
        settings or configured(),
        state_dir,
        on_exit=lambda *event: told.exits.append(event),
        on_snapshot=lambda _model, held, reason: told.snapshots.put_nowait((held, reason)),
        on_images=lambda held: told.images.append(held.ram),
        sleep=never,
        **arguments,
    )
    await node.start()
    try:
        yield node, told
    finally:
        await node.close()


async def start(node: Node, replica: str = R) -> Landed:
    """A start that succeeds."""
    landed = await node.wake(replica, "fake", Tier.CACHED)
    assert (landed.tier, landed.error) == (Tier.RUNNING, None), landed.error
    return landed


async def rest(node: Node, replica: str = R, target: Tier = Tier.SNAPSHOT) -> None:
    """A rest that succeeds."""
    landed = await node.rest(replica, "fake", Tier.RUNNING, target)
    assert (landed.tier, landed.error) == (target, None)


async def restore(node: Node, replica: str = R) -> Landed:
    """A restore that succeeds."""
    landed = await node.wake(replica, "fake", Tier.SNAPSHOT)
    assert (landed.tier, landed.error) == (Tier.RUNNING, None), landed.error
    return landed


async def answer(node: Node, landed: Landed) -> dict[str, Any]:
    """What a running replica answers to a greedy request."""
    call = Call("POST", "/v1/completions", {"model": "fake", "prompt": "hello", "max_tokens": 8, "temperature": 0})
    status, said = await node._host.call(landed.address or "", call, PATIENCE)
    assert status == 200
    return said


async def rested(node: Node, told: Told) -> Resources:
    """Start the engine, have its snapshot published, and rest in it; what that holds."""
    await start(node)
    held = await told.ready()
    await rest(node)
    return held


def left_behind(node: Node) -> dict[str, Any]:
    """What only a running engine, a dump or a restore may have: nothing of it once they have ended."""
    snapshots = node._host.snapshots
    assert snapshots is not None
    resident = snapshots._resident
    known = {image.folder for image in resident._images.values()}
    found = {
        "trees": [*node._supervisor._trees],
        "processes": [*_engine_processes()],
        "folders": [
            f.name for f in resident.ours(".").iterdir() if f.name.startswith("image-") and f.name not in known
        ],
        "cgroups": [str(path) for path in _groups(node._supervisor._lock.instance)],
        "mounts": [line for line in Path("/proc/self/mounts").read_text().splitlines() if "glowplug" in line],
    }
    return {what: there for what, there in found.items() if there}


def _engine_processes() -> Iterator[str]:
    """Everything that descends from us but guardians that wait for their engine, and what other tests leave running."""
    for pid in processes.descendants(os.getpid()):
        command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        if processes.alive(pid) and name != "glowplug-guard" and "multiprocessing.resource_tracker" not in command:
            yield command


def _groups(instance: str) -> Iterator[Path]:
    hierarchy = cgroups.freezable()
    if hierarchy is not None:
        yield from hierarchy.own.glob(f"glowplug-*{instance}*")
