"""A server in a process of its own: starts engines from scripts on the command line, prints pids, and waits.

Run as `python -m tests.node.server_program STATE_DIR HIERARCHY SCRIPT...`; HIERARCHY is v2, v1 or none.
"""

import asyncio
import json
import sys
from pathlib import Path

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.freezer import freezer_for
from glowplug.node.supervisor import Supervisor
from tests.node.programs import spawn


async def main(state_dir: Path, hierarchy: str, scripts: list[str]) -> None:
    """Serve until killed."""
    controller = {"v2": "", "v1": "freezer"}.get(hierarchy)
    found = [place for place in cgroups.hierarchies() if place.controller == controller]
    cgroups.freezable = lambda _found=None: found[0] if found else None
    supervisor = Supervisor(state_dir)
    await supervisor.start()
    pids: list[int] = []
    guardians: list[int] = []
    for number, script in enumerate(scripts):
        frozen = script.startswith("frozen:")
        tree = await spawn(supervisor, script.removeprefix("frozen:"), f"model-{number}")
        pids += tree.pids()
        guardians.append(processes.read_stat(tree.pid).parent)
        if frozen:
            freezer_for(tree.pids, tree.cgroup).freeze(10)
    print(json.dumps({"pids": pids, "guardians": guardians}), flush=True)
    await asyncio.sleep(1000)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
