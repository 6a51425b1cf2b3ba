"""Small requests, one after the other on each of N connections: throughput and latency.

The client does as little as a client can, so that it takes no more of the second core than it must.
"""

import asyncio
import json
from dataclasses import dataclass
from time import perf_counter
from typing import cast

from benchmarks.load.processes import percentile


def request_bytes(
    host: str, size: int = 850, model: str = "bench", path: str = "/v1/chat/completions", *, stream: bool = False
) -> bytes:
    """A POST whose JSON body has exactly `size` bytes, with the headers that an SDK sends."""
    empty = {"model": model, "messages": [{"role": "user", "content": ""}], "max_tokens": 64, "stream": stream}
    bare = len(json.dumps(empty))
    body = json.dumps({**empty, "messages": [{"role": "user", "content": "x" * (size - bare)}]}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\naccept: application/json\r\n"
        f"authorization: Bearer sk-none\r\nuser-agent: bench/1\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True)
class RequestsResult:
    """`seconds` is the time measured; latencies are in milliseconds."""

    requests: int
    failures: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


class _Caller(asyncio.Protocol):
    """One connection in a closed loop."""

    def __init__(self, request: bytes, stop_at: float) -> None:
        self._request = request
        self._stop_at = stop_at
        self._received = b""
        self._expected = 0
        self.latencies: list[float] = []
        self.failures = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.failures += 1
            self.done.set_result(None)

    def _ask(self) -> None:
        self._asked = perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received = data if not self._received else self._received + data
        if not self._expected:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            lengths = self._received.find(b"content-length: ")
            end = self._received.index(b"\r\n", lengths)
            self._expected = head + 4 + int(self._received[lengths + 16 : end])
        if len(self._received) < self._expected:
            return
        now = perf_counter()
        self.latencies.append(now - self._asked)
        if not self._received.startswith(b"HTTP/1.1 200"):
            self.failures += 1
        self._received = b""
        self._expected = 0
        if now < self._stop_at:
            self._ask()
        else:
            self.done.set_result(None)
            self._transport.close()


async def measure_requests(host: str, port: int, connections: int, seconds: float) -> RequestsResult:
    """Keep `connections` busy for `seconds`."""
    loop = asyncio.get_running_loop()
    request = request_bytes(f"{host}:{port}")
    began = perf_counter()
    callers = [
        (await loop.create_connection(lambda: _Caller(request, began + seconds), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(caller.done for caller in callers))
    took = perf_counter() - began
    latencies = [latency * 1000 for caller in callers for latency in caller.latencies]
    failures = sum(caller.failures for caller in callers)
    return RequestsResult(len(latencies), failures, took, percentile(latencies, 0.5), percentile(latencies, 0.99))
