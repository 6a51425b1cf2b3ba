"""Asking an engine that starts: is it healthy, which models has it, and what is its first token?"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import aiohttp

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1
_GROWTH = 1.2
"""Seconds between two questions, as in `tiers.process`: often at first, where small models become ready."""

_ANSWER_TIMEOUT = 5.0
_HEALTH_PATHS = ("/health", "/v1/models")
"""The second is asked where the first does not exist."""

_ABSENT = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
_NOT_YET = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY})
_PROMPT = "The capital of France is"
_TOKENS = 2


class ProbeError(Exception):
    """The engine answers, but gives no token. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The first token of an engine. Moments by `time.monotonic`."""

    asked: float
    came: float
    path: str


class Probe:
    """One engine, asked over HTTP. Use it as an asynchronous context manager."""

    def __init__(self, candidates: Callable[[], Sequence[str]]) -> None:
        """`candidates` tells base URLs at which the engine may answer."""
        self._candidates = candidates
        self._base = ""

    @property
    def base(self) -> str:
        """The base URL at which the engine answered."""
        return self._base

    async def __aenter__(self) -> "Probe":
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def healthy(self) -> float:
        """Wait until the engine says that it is healthy; the moment when it did."""
        pause = _FIRST_PAUSE
        while True:
            for base in self._candidates():
                if await self._is_healthy(base):
                    self._base = base
                    return time.monotonic()
            await asyncio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    async def models(self) -> tuple[float, Sequence[str]] | None:
        """The moment of its first list of models, and their names; None if it has no such list."""
        while True:
            status, answer = await self.get_json("/v1/models")
            if status == HTTPStatus.OK:
                return time.monotonic(), _names(answer)
            if status not in _NOT_YET and status != 0:
                return None
            await asyncio.sleep(_LONGEST_PAUSE)

    async def first_token(self, model: str) -> FirstToken:
        """Ask for a few tokens and wait for the first one. Raises ProbeError."""
        refusals: list[str] = []
        for path, body in _questions(model):
            asked = time.monotonic()
            while True:
                status, came, text = await self._ask(path, body)
                if came is not None:
                    return FirstToken(asked, came, path)
                if status not in _NOT_YET and status != 0:
                    break
                await asyncio.sleep(_LONGEST_PAUSE)
            refusals.append(f"{path} was answered with {status}: {text[:200]}")
        raise ProbeError(f"The engine gave no token; {'; '.join(refusals)}.")

    async def get_json(self, path: str) -> tuple[int, Any]:
        """Status and parsed answer of a GET; 0 if there is no answer, None for what is no JSON."""
        status = 0
        try:
            async with (
                asyncio.timeout(_ANSWER_TIMEOUT),
                self._session.get(f"{self._base}{path}", allow_redirects=False) as response,
            ):
                content = await response.read()
                status = response.status
                return status, json.loads(content)
        except (aiohttp.ClientError, TimeoutError):
            return 0, None
        except ValueError:
            return status, None

    async def _is_healthy(self, base: str) -> bool:
        for path in _HEALTH_PATHS:
            try:
                async with (
                    asyncio.timeout(_ANSWER_TIMEOUT),
                    self._session.get(f"{base}{path}", allow_redirects=False) as response,
                ):
                    status = response.status
            except (aiohttp.ClientError, TimeoutError, ValueError):
                return False
            if status not in _ABSENT:
                return status == HTTPStatus.OK
        return False

    async def _ask(self, path: str, body: Mapping[str, Any]) -> tuple[int, float | None, str]:
        """Status, the moment of the first token, and the answer if none came."""
        try:
            async with self._session.post(f"{self._base}{path}", json=body, timeout=_PATIENT) as response:
                if response.status != HTTPStatus.OK:
                    return response.status, None, (await response.text(errors="replace")).strip()
                said = b""
                async for line in response.content:
                    if _has_token(line):
                        return response.status, time.monotonic(), ""
                    said = line or said
                return response.status, None, said.decode(errors="replace").strip() or "nothing"
        except (aiohttp.ClientError, TimeoutError):
            return 0, None, ""


_PATIENT = aiohttp.ClientTimeout(total=None)  # whoever profiles sets the limit for the whole start


def _questions(model: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """The requests to try: completions first, because base models have no chat template."""
    greedy = {"model": model, "max_tokens": _TOKENS, "temperature": 0, "stream": True}
    messages = [{"role": "user", "content": _PROMPT}]
    return (
        ("/v1/completions", {**greedy, "prompt": _PROMPT}),
        ("/v1/chat/completions", {**greedy, "messages": messages}),
        ("/v1/embeddings", {"model": model, "input": _PROMPT}),
    )


def _has_token(line: bytes) -> bool:
    """Whether a line of an answer holds generated text, or an embedding."""
    data = line.strip().removeprefix(b"data:").strip()
    if not data.startswith(b"{"):
        return False
    try:
        answer: object = json.loads(data)
    except ValueError:
        return False
    if not isinstance(answer, dict):
        return False
    content = cast("Mapping[str, Any]", answer)
    return any(_text(choice) for choice in content.get("choices") or ()) or _has_embedding(content)


def _text(choice: Any) -> bool:
    if not isinstance(choice, dict):
        return False
    fields = cast("Mapping[str, Any]", choice)
    parts = [cast("Mapping[str, Any]", fields.get(key) or {}) for key in ("delta", "message")]
    return bool(fields.get("text")) or any(
        part.get("content") or part.get("reasoning_content") or part.get("reasoning") for part in parts
    )


def _has_embedding(answer: Mapping[str, Any]) -> bool:
    data: Any = answer.get("data")
    return isinstance(data, list) and any(
        isinstance(item, dict) and "embedding" in item for item in cast("list[object]", data)
    )


def _names(answer: Any) -> Sequence[str]:
    if not isinstance(answer, dict):
        return ()
    data: Any = cast("Mapping[str, Any]", answer).get("data")
    items = cast("list[object]", data) if isinstance(data, list) else []
    return [str(item["id"]) for item in cast("list[dict[str, Any]]", items) if "id" in item]
