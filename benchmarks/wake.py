"""How much later the first token comes if the model was parked, and how a cold model meets a crowd."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load.processes import percentile
from benchmarks.serving import serving

MODEL = Path(".models/SmolLM2-135M-Instruct.Q4_1.gguf")
QUESTION = [{"role": "user", "content": "What is a glow plug?"}]


async def measure_wakes(repeats: int) -> dict[str, Any]:
    """Time to first token of a running and of a parked SmolLM2, in turn. Milliseconds."""
    model = {"engine": "llama.cpp", "model": str(MODEL.resolve()), "args": {"ctx-size": 2048}, "keep_alive": "auto"}
    ttft: dict[str, list[float]] = {"running": [], "parked": []}
    with serving({"smollm2": model}) as server:
        async with aiohttp.ClientSession() as session:
            cold, _ = await _first_token(session, server.url)
            for _ in range(repeats):
                for tier in ttft:
                    if tier == "parked":
                        await _rest(session, server.url, tier)
                    seconds, woke_from = await _first_token(session, server.url)
                    assert woke_from == tier, woke_from
                    ttft[tier].append(seconds * 1000)
            starts = await _json(session, f"{server.url}/glowplug/v1/cold-starts?limit={repeats}")
    phases: dict[str, list[float]] = {}
    for start in starts["cold_starts"]:
        if start["woke_from"] == "parked":
            for span in start["spans"]:
                phases.setdefault(span["phase"], []).append(span["seconds"] * 1000)
    later = sorted(b - a for a, b in zip(ttft["running"], ttft["parked"], strict=True))
    return {
        "n": repeats,
        "first_token_from_cold_ms": round(cold * 1000, 1),
        **{f"ttft_{tier}_ms": _summary(values) for tier, values in ttft.items()},
        "later_ms": _summary(later),
        "phases_ms": {phase: _summary(values) for phase, values in phases.items()},
    }


async def measure_crowd(requests: int) -> dict[str, Any]:
    """`requests` at once at a cold model whose start takes half a second."""
    model = {"engine": "fake", "options": {"phases": [{"phase": "weights_load", "seconds": 0.5}]}}
    with serving({"crowd": model}) as server:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            began = time.perf_counter()
            statuses = await asyncio.gather(*(_complete(session, server.url) for _ in range(requests)))
            seconds = time.perf_counter() - began
            starts = await _json(session, f"{server.url}/glowplug/v1/cold-starts")
    return {
        "requests": requests,
        "answered": statuses.count(200),
        "wakes": len(starts["cold_starts"]),
        "seconds": round(seconds, 3),
        "start_seconds": round(starts["cold_starts"][0]["total"], 3),
    }


async def _first_token(session: aiohttp.ClientSession, url: str) -> tuple[float, str]:
    body = {"model": "smollm2", "messages": QUESTION, "stream": True, "max_tokens": 2, "temperature": 0}
    began = time.perf_counter()
    async with session.post(f"{url}/v1/chat/completions", json=body) as response:
        seconds = None
        async for line in response.content:
            if seconds is None and line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and choices[0]["delta"].get("content"):
                    seconds = time.perf_counter() - began
        assert seconds is not None
        return seconds, response.headers["x-glowplug-woke-from"]


async def _rest(session: aiohttp.ClientSession, url: str, tier: str) -> None:
    async with session.post(f"{url}/glowplug/v1/models/smollm2/rest?tier={tier}") as response:
        assert response.status == 200, await response.text()


async def _complete(session: aiohttp.ClientSession, url: str) -> int:
    body = {"model": "crowd", "messages": QUESTION, "max_tokens": 4}
    async with session.post(f"{url}/v1/chat/completions", json=body) as response:
        await response.read()
        return response.status


async def _json(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as response:
        return await response.json()


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "median": round(percentile(values, 0.5), 2),
        "p90": round(percentile(values, 0.9), 2),
        "max": round(max(values), 2),
    }
