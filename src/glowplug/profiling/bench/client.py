"""A client that times one streamed request: when the first token came, when the last, and how many."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, cast

import aiohttp

from glowplug.profiling.bench.bench_file import RequestSection
from glowplug.profiling.bench.repeat import Timing

PROMPTS = (
    "Here is a long list of all the cities that I know, one after the other:",
    "My grandmother told me how she used to bake her bread, step by step:",
    "A short history of the railway, from its beginning until today:",
)
"""What is asked: of about the same length, different from the first word on, so that no prompt cache helps the later
ones, and such that even a small model goes on until its tokens are used up."""

_SHOWN = 300


class RequestFailed(Exception):
    """There was no complete answer. The text is one sentence."""


async def timed_request(
    session: aiohttp.ClientSession, url: str, model: str, prompt: str, request: RequestSection
) -> Timing:
    """Send a greedy streamed request and read its answer to the end. Raises RequestFailed."""
    path, body = _body(model, prompt, request)
    stream = Stream()
    try:
        async with asyncio.timeout(request.timeout):
            began = time.perf_counter()
            async with session.post(f"{url}{path}", json=body) as response:
                if response.status != 200:
                    raise RequestFailed(_message(await response.text(errors="replace"), response.status))
                async for line in response.content:
                    stream.take(line, time.perf_counter() - began)
    except TimeoutError:
        raise RequestFailed(f"the request had no complete answer within {request.timeout:g} s") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise RequestFailed(f"the answer broke off: {error or type(error).__name__}") from error
    if stream.first is None:
        raise RequestFailed("the answer held no token")
    waited = response.headers.get("x-glowplug-wait-ms")
    return Timing(
        ttft=stream.first,
        total=stream.last,
        tokens=stream.usage or stream.chunks,
        counted_by="usage" if stream.usage else "chunks",
        woke_from=response.headers.get("x-glowplug-woke-from", "unknown"),
        waited=float(waited) / 1000 if waited is not None else None,
    )


class Stream:
    """What has come so far of a stream of server-sent events."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0
        self.chunks = 0
        self.usage = 0

    def take(self, line: bytes, at: float) -> None:
        """One line, `at` seconds after the request was sent. Raises RequestFailed for an error event."""
        if not line.startswith(b"data:") or (data := line[5:].strip()) == b"[DONE]":
            return
        event: Mapping[str, Any] = json.loads(data)
        if "error" in event:
            raise RequestFailed(_message(json.dumps(event), 200))
        if any(map(_text, event.get("choices") or ())):
            self.first = at if self.first is None else self.first
            self.last = at
            self.chunks += 1
        if usage := event.get("usage"):
            self.usage = int(usage.get("completion_tokens") or self.usage)


def _text(choice: Mapping[str, Any]) -> str:
    delta = cast("Mapping[str, Any]", choice.get("delta") or {})
    return choice.get("text") or delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning") or ""


def _body(model: str, prompt: str, request: RequestSection) -> tuple[str, Mapping[str, Any]]:
    common = {
        "model": model, "max_tokens": request.tokens, "temperature": 0, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    if request.api == "chat":
        return "/v1/chat/completions", {**common, "messages": [{"role": "user", "content": prompt}]}
    return "/v1/completions", {**common, "prompt": prompt}


def _message(text: str, status: int) -> str:
    """The sentence inside an error answer."""
    try:
        error: Any = json.loads(text)["error"]
        return (error if isinstance(error, str) else str(error["message"]))[:_SHOWN]
    except (ValueError, KeyError, TypeError):
        return f"the engine answered with status {status}: {text[:_SHOWN]}"
