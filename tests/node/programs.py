"""Small programs that stand in for engines, and how to wait for what they do."""

import asyncio
import sys
from collections.abc import Callable

from glowplug.engines.base import Launch
from glowplug.node.process_tree import GuardedTree
from glowplug.node.supervisor import Supervisor

PATIENCE = 20.0
"""Seconds within which anything a test waits for must happen."""

FAMILY = "sleep 1000 & sh -c 'sleep 1000 & sleep 1000 & echo ready; wait' & wait"

ESCAPING = f"""
{sys.executable} -c '
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 3)
        os.execvp("sleep", ["sleep", "1000"])
    os._exit(0)
os.wait()
'
echo ready
exec sleep 1000
"""
"""An engine with a grandchild that has left its session, its process group, its parent and its output."""

STUBBORN = f"""
exec {sys.executable} -c '
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"ready\\n")
time.sleep(1000)
'
"""


def shell(script: str, **env: str) -> Launch:
    """A launch of a shell script."""
    return Launch(["sh", "-c", script], env)


async def spawn(supervisor: Supervisor, script: str, replica_id: str = "model-0") -> GuardedTree:
    """Start a script and wait until it says that it is ready."""
    tree = await supervisor.spawn(replica_id, shell(script))
    await printed(supervisor, "ready", replica_id)
    return tree


async def printed(supervisor: Supervisor, text: str, replica_id: str = "model-0") -> str:
    """The first line with the text that a replica has printed or will print."""
    async with asyncio.timeout(PATIENCE):
        async for line in supervisor.ring(replica_id).follow():
            if text in line:
                return line
    raise AssertionError(f"{text!r} was never printed")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)
