"""Waiting for an engine without missing its end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from glowplug.tiers.base import ProcessTree, TierError
from glowplug.tiers.exit_report import exit_report

T = TypeVar("T")

_LAST_WORDS = 0.2
"""Seconds. An engine that crashes drops its connections a moment before its end is known; the end says more."""


async def while_alive(tree: ProcessTree, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, given up at once when the engine ends.

    Raises:
        TierError: the engine ended first; the text says how, and what it said.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, tree.exited}, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and task.exception() is not None:
            await asyncio.wait({tree.exited}, timeout=_LAST_WORDS)
        if tree.exited.done():
            raise TierError(exit_report(tree.exited.result(), tree.output()))
        return task.result()
    finally:
        task.cancel()
