"""Keeping an eye on an engine between transitions: its end, its answers, its memory."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from glowplug.node.memory import tree_memory
from glowplug.scheduler.values import Resources
from glowplug.tiers.base import Body, Host, ProcessTree
from glowplug.tiers.exit_report import exit_report
from glowplug.tiers.steps import ask

Sleep = Callable[[float], Awaitable[None]]

ALIVE_INTERVAL = 15.0
"""Seconds between two questions whether a running engine still lives."""

ALIVE_TIMEOUT = 10.0
ALIVE_FAILURES = 2
"""Questions in a row without an answer, each with `ALIVE_TIMEOUT` seconds: one alone may be a long garbage collection
or a busy moment. A hanging engine is so noticed after about 40 seconds, and at once by the first request it loses."""

MEMORY_INTERVAL = 30.0
MEMORY_CHANGE = 0.05
"""Seconds between two looks at a running engine's memory, and by which part it must have changed to be told."""


async def until_ended(tree: ProcessTree) -> str:
    """Wait for the engine's end; why it ended."""
    cause = await asyncio.shield(tree.exited)
    return exit_report(cause, tree.output())


async def until_silent(body: Body, host: Host, sleep: Sleep) -> str:
    """Wait until a running engine stops answering; never returns for one that cannot be asked."""
    question = body.engine.alive(body.model_name, body.model, body.port)
    if question is None:
        await asyncio.get_running_loop().create_future()
        raise AssertionError  # nobody completes that future
    failures = 0
    while failures < ALIVE_FAILURES:
        await sleep(ALIVE_INTERVAL)
        trouble = await ask(question, body.address, host, ALIVE_TIMEOUT)
        failures = 0 if trouble is None else failures + 1
    return "The engine stopped answering."


async def report_memory(
    tree: ProcessTree, gpu: int, known: Resources | None, tell: Callable[[Resources], None], sleep: Sleep
) -> None:
    """Measure from time to time and tell of changes; runs until it is cancelled."""
    while True:
        await sleep(MEMORY_INTERVAL)
        held = await measure(tree, gpu)
        if known is None or abs(held.ram - known.ram) > MEMORY_CHANGE * known.ram:
            known = held
            tell(held)


async def measure(tree: ProcessTree, gpu: int) -> Resources:
    """What the tree holds now: RAM as measured, GPU memory, which nothing here measures, as declared (`gpu` bytes).

    Reading takes the kernel some milliseconds per gigabyte, so a thread waits for it.
    """
    return replace(await asyncio.to_thread(lambda: tree_memory(tree.pids())), gpu=gpu)
