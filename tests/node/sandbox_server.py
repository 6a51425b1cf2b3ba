"""A server in a process of its own with engines in sandboxes; prints what it has made, as JSON, and waits.

Run as `python -m tests.node.sandbox_server STATE_DIR HIERARCHY KIND...`; HIERARCHY is v2, v1 or none, KIND is running,
frozen, or start or restore for one that does not come to its end.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.freezer import freezer_for
from glowplug.engines.base import Launch
from glowplug.node.image_space import ImageSpace
from glowplug.node.supervisor import Supervisor
from tests.node.programs import FAMILY, until
from tests.node.sandboxes import hanging, names, namespaces, spawn


async def main(state_dir: Path, hierarchy: str, kinds: list[str]) -> None:
    """Serve until killed."""
    controller = {"v2": "", "v1": "freezer"}.get(hierarchy)
    found = [place for place in cgroups.hierarchies() if place.controller == controller]
    cgroups.freezable = lambda _found=None: found[0] if found else None
    supervisor = Supervisor(state_dir)
    await supervisor.start()
    (state_dir / "images").mkdir()
    space = ImageSpace(state_dir / "images")
    made = {os.readlink(space.mounts)}
    waiting: list[asyncio.Task[object]] = []
    for number, kind in enumerate(kinds):
        known = set(supervisor._trees)
        if kind in ("running", "frozen"):
            tree = await spawn(supervisor, FAMILY, f"model-{number}", mounts_of=space.mounts, network=True)
            assert tree.init is not None
            made |= set(namespaces(tree.init).values())
            if kind == "frozen":
                freezer_for(tree.pids, tree.cgroup).freeze(10)
        else:
            sandbox = hanging(kind, state_dir)
            waiting.append(asyncio.create_task(supervisor.spawn(f"model-{number}", Launch(["true"]), sandbox)))
            await until(lambda known=known, kind=kind: _waits(supervisor, known, kind))
    guardians = [tree.root for tree in supervisor._trees.values()]
    pids = [pid for guardian in guardians for pid in (guardian, *processes.descendants(guardian))]
    print(json.dumps({"pids": pids, "guardians": guardians, "namespaces": sorted(made)}), flush=True)
    await asyncio.sleep(1000)


def _waits(supervisor: Supervisor, known: set[str], kind: str) -> bool:
    wanted = {"start": "glowplug-init", "restore": "sleep"}[kind]
    return any(wanted in names(tree.root) for mark, tree in supervisor._trees.items() if mark not in known)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
