"""Waiting for an engine without missing its end."""

import asyncio

import pytest

from glowplug.tiers.base import ExitCause, TierError
from glowplug.tiers.watch import while_alive


class Tree:
    """As much of a process tree as is watched."""

    def __init__(self):
        self.exited = asyncio.get_running_loop().create_future()

    def output(self):
        """What it printed."""
        return ["cannot open the model"]


async def test_the_result_comes_through():
    async def work():
        return 7

    assert await while_alive(Tree(), work()) == 7


async def test_the_end_of_the_engine_interrupts_the_work_at_once():
    tree = Tree()
    interrupted = asyncio.Event()

    async def work():
        tree.exited.set_result(ExitCause(code=2))
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            interrupted.set()

    with pytest.raises(TierError, match='exited with code 2; it said "cannot open the model"'):
        await while_alive(tree, work())
    await asyncio.wait_for(interrupted.wait(), 10)


async def test_work_that_fails_because_the_engine_is_ending_is_explained_by_the_end():
    tree = Tree()

    async def work():
        asyncio.get_running_loop().call_later(0.01, tree.exited.set_result, ExitCause(signal=11))
        raise TierError("connection lost")

    with pytest.raises(TierError, match="signal 11"):
        await while_alive(tree, work())


async def test_work_that_fails_while_the_engine_lives_on_fails_as_itself():
    async def work():
        raise TierError("no such page")

    with pytest.raises(TierError, match="no such page"):
        await while_alive(Tree(), work())


async def test_an_engine_that_has_ended_is_never_ready():
    tree = Tree()
    tree.exited.set_result(ExitCause(code=0))

    async def work():
        return "ready"

    with pytest.raises(TierError, match="code 0"):
        await while_alive(tree, work())


async def test_being_cancelled_cancels_the_work():
    cancelled = asyncio.Event()

    async def work():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    waiting = asyncio.create_task(while_alive(Tree(), work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(cancelled.wait(), 10)
