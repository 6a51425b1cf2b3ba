"""What the gateway adds to an engine that costs nothing: throughput, latency, streams, memory.

The server runs on core 0, the stub engine and the load generator share core 1. `direct` is the stub without the server
between, measured in the same rounds.
"""

import asyncio
import os
import resource
import socket
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.load.idle import IdleResult, hold_streams
from benchmarks.load.processes import pinned, settle
from benchmarks.load.requests import measure_requests
from benchmarks.load.streams import measure_streams
from benchmarks.serving import Serving, serving

SERVER_CORE, LOAD_CORE = "0", "1"
_OTHER_FILES = 100  # what a process has open besides
STREAMS, CHUNKS, CHUNKS_PER_SECOND = 200, 100, 25.0


def measure_gateway(rounds: int, seconds: float, held: int) -> dict[str, Any]:
    """All figures of the gateway, medians over `rounds` interleaved rounds of `seconds` each."""
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    proxied = min(held, open_files() // 2 - _OTHER_FILES)
    stub = f"taskset -c {LOAD_CORE} {sys.executable} -m benchmarks.load.upstream"
    options = {"run": f"{stub} {{port}}", "canary": "off", "alive": "off", "cwd": str(Path.cwd())}
    model = {"engine": "command", "options": options, "keep_alive": {"running": "1h"}}
    try:
        with (
            serving({"bench": model}, SERVER_CORE) as server,
            pinned(int(LOAD_CORE), "benchmarks.load.upstream", str(port := _free_port())),
        ):
            asyncio.run(measure_requests(server.host, server.port, 1, 0.5))  # wakes the model
            result = {
                "requests": _requests(server, port, rounds, seconds),
                "streams": _streams(server, port, rounds),
                "open_streams": _open(server, proxied),
            }
        result["waiting_streams"] = _waiting(held)
    finally:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    return result


def open_files() -> int:
    """Let this process, and so what it starts, open as many files as it may; how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _requests(server: Serving, direct: int, rounds: int, seconds: float) -> dict[str, Any]:
    rates: list[float] = []
    cpu: list[float] = []
    p50: dict[str, list[float]] = {"direct": [], "gateway": []}
    p99: list[float] = []
    failures = 0
    for _ in range(rounds):
        for name, port in (("direct", direct), ("gateway", server.port)):
            single = asyncio.run(measure_requests("127.0.0.1", port, 1, seconds))
            p50[name].append(single.p50)
            failures += single.failures
        before = server.process.cpu_seconds()
        many = asyncio.run(measure_requests(server.host, server.port, 32, seconds))
        cpu.append((server.process.cpu_seconds() - before) / many.requests * 1000)
        rates.append(many.rate)
        p99.append(many.p99)
        failures += many.failures
        settle()
    added = [b - a for a, b in zip(p50["direct"], p50["gateway"], strict=True)]
    return {
        "rounds": rounds,
        "failures": failures,
        "per_second_at_32_connections": _spread(rates),
        "cpu_ms_per_request": _spread(cpu),
        "p99_ms_at_32_connections": _spread(p99),
        "p50_ms_at_1_connection": _spread(p50["gateway"]),
        "p50_ms_direct": _spread(p50["direct"]),
        "p50_ms_added": _spread(added),
    }


def _streams(server: Serving, direct: int, rounds: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"rounds": rounds, "streams": STREAMS, "chunks_per_second_each": CHUNKS_PER_SECOND}
    for name, port in (("direct", direct), ("gateway", server.port)):
        load = (STREAMS, CHUNKS, CHUNKS_PER_SECOND)
        runs = [asyncio.run(measure_streams("127.0.0.1", port, *load)) for _ in range(rounds)]
        figures[f"complete_{name}"] = sum(run.complete for run in runs)
        figures[f"chunk_p50_ms_{name}"] = _spread([run.p50 for run in runs])
        figures[f"chunk_p99_ms_{name}"] = _spread([run.p99 for run in runs])
    return figures


def _open(server: Serving, streams: int) -> dict[str, Any]:
    """Streams that an engine has begun to answer: two connections each."""
    return _holding(asyncio.run(hold_streams(server.host, server.port, streams, 5.0, server.process.memory)))


def _waiting(streams: int) -> dict[str, Any]:
    """Streams that wait, with heartbeats, for a model that takes long to start: one connection each."""
    model = {"engine": "fake", "options": {"phases": [{"phase": "weights_load", "seconds": "5m"}]}}
    limits = {"max_queue": 2 * streams, "heartbeat": "2s", "drain_timeout": 0}
    with serving({"bench": model}, SERVER_CORE, **limits) as server:
        path = "/v1/chat/completions"
        holding = hold_streams(server.host, server.port, streams, 5.0, server.process.memory, path, at_once=1000)
        return _holding(asyncio.run(holding))


def _holding(result: IdleResult) -> dict[str, Any]:
    return {
        "streams": result.streams,
        "opened": result.opened,
        "dropped": result.dropped,
        "kib_per_stream": round(result.bytes_per_stream / 1024, 2),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
