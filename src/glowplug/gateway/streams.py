"""Endless answers that end when the server does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar, cast

T = TypeVar("T")


async def until_closing(
    source: AsyncIterator[T], closing: asyncio.Event, interval: float | None = None
) -> AsyncGenerator[T | None, None]:
    """The items of `source` until it ends or `closing` is set; None each time `interval` seconds brought no item."""
    closed = asyncio.ensure_future(closing.wait())
    item: asyncio.Future[T] = asyncio.ensure_future(_next(source))
    try:
        while True:
            done, _ = await asyncio.wait((item, closed), timeout=interval, return_when=asyncio.FIRST_COMPLETED)
            if item in done:
                try:
                    value = item.result()
                except StopAsyncIteration:
                    return
                item = asyncio.ensure_future(_next(source))
                yield value
            elif done:
                return
            else:
                yield None
    finally:
        item.cancel()
        closed.cancel()
        await asyncio.gather(item, closed, return_exceptions=True)
        if isinstance(source, AsyncGenerator):
            await cast("AsyncGenerator[T, Any]", source).aclose()


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)
