"""N event streams at once: how long a chunk takes from the engine's write to the client's read."""

import asyncio
import re
from dataclasses import dataclass
from time import monotonic_ns
from typing import cast

from benchmarks.load.processes import percentile
from benchmarks.load.requests import request_bytes

_SENT = re.compile(rb'"sent":(\d+)')


@dataclass(frozen=True)
class StreamsResult:
    """Latencies in milliseconds. `complete` counts streams that ended with [DONE] and a proper last chunk."""

    streams: int
    complete: int
    chunks: int
    p50: float
    p99: float


class _Listener(asyncio.Protocol):
    """One stream."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._tail = b""
        self.latencies: list[float] = []
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = monotonic_ns()
        data = self._tail + data
        end = 0
        for match in _SENT.finditer(data):
            if match.end() == len(data):
                break  # the number may go on in the next read
            self.latencies.append((now - int(match[1])) / 1e6)
            end = match.end()
        self._tail = data[max(end, len(data) - 64) :]
        if self._tail.endswith(b"0\r\n\r\n") and not self.done.done():
            self.done.set_result(b"[DONE]" in self._tail)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(False)


async def measure_streams(host: str, port: int, streams: int, chunks: int, rate: float) -> StreamsResult:
    """Open `streams` streams of `chunks` chunks at `rate` per second and read them to their ends.

    They start spread over one chunk's period, as those of independent clients would.
    """
    loop = asyncio.get_running_loop()
    request = request_bytes(f"{host}:{port}", path=f"/v1/stream?chunks={chunks}&rate={rate}")
    listeners: list[_Listener] = []
    for _ in range(streams):
        listeners.append((await loop.create_connection(lambda: _Listener(request), host, port))[1])
        await asyncio.sleep(1 / rate / streams)
    ends = await asyncio.gather(*(listener.done for listener in listeners))
    latencies = [latency for listener in listeners for latency in listener.latencies]
    return StreamsResult(streams, sum(ends), len(latencies), percentile(latencies, 0.5), percentile(latencies, 0.99))
