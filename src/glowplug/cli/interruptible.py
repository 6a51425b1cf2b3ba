"""Running asynchronous work that must clean up, however it is ended."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

Result = TypeVar("Result")


def run_interruptible(work: Coroutine[Any, Any, Result]) -> Result:
    """Like `asyncio.run`, and whatever ends the process lets the work clean up first, also if it comes twice.

    Raises click.Abort if it was ended.
    """

    async def until_told() -> Result:
        task = asyncio.current_task()
        assert task is not None

        def leave_off() -> None:
            if not task.cancelling():
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, leave_off)
        return await work

    try:
        return asyncio.run(until_told())
    except asyncio.CancelledError:
        raise click.Abort from None
