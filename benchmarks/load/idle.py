"""N open streams on which nothing happens: does the gateway hold them all, and what does each cost?"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from benchmarks.load.requests import request_bytes


@dataclass(frozen=True)
class IdleResult:
    """`opened` streams answered; `dropped` of them were closed by the other side during `seconds`."""

    streams: int
    opened: int
    dropped: int
    bytes_per_stream: float


class _Holder(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self.opened.set_result(data.startswith(b"HTTP/1.1 200"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.opened.done():
            self.opened.set_result(False)


async def hold_streams(
    host: str,
    port: int,
    streams: int,
    seconds: float,
    memory: Callable[[], int],
    path: str = "/v1/idle",
    at_once: int = 100,
) -> IdleResult:
    """Open `streams` streams, `at_once` at a time, keep them for `seconds`, and compare `memory()` before and after."""
    loop = asyncio.get_running_loop()
    request = request_bytes(f"{host}:{port}", path=path, stream=True)
    before = memory()
    holders: list[_Holder] = []
    opened = 0
    while len(holders) < streams:
        batch = [
            (await loop.create_connection(lambda: _Holder(request), host, port))[1]
            for _ in range(min(at_once, streams - len(holders)))
        ]
        holders += batch
        opened += sum(await asyncio.gather(*(holder.opened for holder in batch)))
    await asyncio.sleep(seconds)
    after = memory()
    dropped = sum(holder.lost for holder in holders)
    for holder in holders:
        holder.transport.abort()
    return IdleResult(streams, opened, dropped, (after - before) / max(1, opened))
