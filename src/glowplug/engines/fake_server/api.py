"""The endpoints under `/v1/`, sleep and wake, health and control: what a client or the node asks of an engine."""

import asyncio
import base64
import json
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from glowplug.engines.fake_server.behaviour import Behaviour, Record, as_dict, change
from glowplug.engines.fake_server.connection import Connection, Request, answer
from glowplug.engines.fake_server.generation import CREATED, Generation, generation, words
from glowplug.engines.fake_server.oddities import ODDITIES
from glowplug.engines.fake_server.process import HeldMemory, crash
from glowplug.engines.fake_server.shapes import SHAPES, Shape

Work = bytes | Awaitable[None]

_DIMENSIONS = 8


class Api:
    """Answers every request of the fake engine. `handle` is the handler of all connections."""

    def __init__(self, behaviour: Behaviour, memory: HeldMemory) -> None:
        self._behaviour = behaviour
        self._memory = memory
        self._record = Record()
        self._fixed: Mapping[tuple[str, str], Callable[[Request], bytes]] = {
            ("GET", "/health"): lambda _: _json({"status": "ok"}),
            ("GET", "/v1/models"): self._models,
            ("POST", "/sleep"): self._sleep,
            ("POST", "/wake_up"): lambda _: self._wake_up(),
            ("GET", "/is_sleeping"): lambda _: _json({"is_sleeping": self._record.asleep}),
            ("GET", "/fake/control"): lambda _: self._state(),
            ("POST", "/fake/control"): self._control,
        }
        self._simple: Mapping[str, Callable[[Request], bytes]] = {
            "/v1/embeddings": self._embeddings,
            "/v1/rerank": self._rerank,
            "/v1/audio/transcriptions": _transcription,
        }

    def handle(self, request: Request, connection: Connection) -> Work:
        """Answer one request."""
        try:
            return self._route(request, connection)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _error(400, f"the fake engine cannot use this request: {error}")

    def continued(self) -> None:
        """The process runs again after it was stopped by a signal."""
        if self._behaviour.answers_change_at == "wake":
            self._record.answers_changed = True

    def _route(self, request: Request, connection: Connection) -> Work:
        path = request.path
        if (fixed := self._fixed.get((request.method, path))) is not None:
            return fixed(request)
        for prefix, oddity in ODDITIES.items():
            if path.startswith(prefix):
                return oddity(request, connection)
        shape, simple = SHAPES.get(path), self._simple.get(path)
        if request.method != "POST" or (shape is None and simple is None):
            return _error(404, f"the fake engine has no {request.method} {path}")
        self._count_request()
        if self._record.asleep:
            return _error(503, "the fake engine is asleep; POST /wake_up first")
        return simple(request) if simple is not None else self._generate(request, connection, shape)

    # Text

    def _count_request(self) -> None:
        self._record.requests += 1
        moment = f"request:{self._record.requests}"
        if self._behaviour.crash_at == moment:
            crash(self._behaviour.crash_how)
        if self._behaviour.answers_change_at == moment:
            self._record.answers_changed = True

    def _generate(self, request: Request, connection: Connection, shape: Shape | None) -> Work:
        assert shape is not None
        body = _object(request)
        made = generation(body, self._record.requests, self._behaviour.tokens, self._record.answers_changed)
        if body.get("stream"):
            return self._working(self._stream(connection, shape, made))
        rate = self._behaviour.tokens_per_second
        if not rate:
            return _json(shape.whole(made))
        return self._working(self._answer_later(connection, shape, made, made.count / rate))

    async def _working(self, work: Awaitable[None]) -> None:
        self._record.open += 1
        try:
            await work
        except asyncio.CancelledError:
            self._record.left += 1
            raise
        finally:
            self._record.open -= 1

    async def _answer_later(self, connection: Connection, shape: Shape, made: Generation, seconds: float) -> None:
        await asyncio.sleep(seconds)
        connection.write(_json(shape.whole(made)))

    async def _stream(self, connection: Connection, shape: Shape, made: Generation) -> None:
        connection.start_stream()
        for event in shape.opening(made):
            connection.write_chunk(event)
        start = asyncio.get_running_loop().time()
        for index in range(made.count):
            if self._behaviour.tokens_per_second is not None:
                await self._wait_for_token(start, index + 1)
            connection.write_chunk(shape.delta(made, index))
            self._record.streamed += 1
            if self._behaviour.crash_at == f"token:{self._record.streamed}":
                await connection.flush()
                crash(self._behaviour.crash_how)
            await connection.drain()
        for event in shape.closing(made):
            connection.write_chunk(event)
        connection.end_stream()

    async def _wait_for_token(self, start: float, count: int) -> None:
        """Until `count` tokens would be there; for ever at a rate of 0."""
        loop = asyncio.get_running_loop()
        if not self._behaviour.tokens_per_second:
            await loop.create_future()
        else:
            await asyncio.sleep(start + count / self._behaviour.tokens_per_second - loop.time())

    # The other APIs

    def _models(self, request: Request) -> bytes:
        model = {"id": self._behaviour.name, "object": "model", "created": CREATED, "owned_by": "fake"}
        return _json({"object": "list", "data": [model]})

    def _embeddings(self, request: Request) -> bytes:
        body = _object(request)
        texts = cast("list[Any]", body["input"]) if isinstance(body["input"], list) else [body["input"]]
        encode = _base64 if body.get("encoding_format") == "base64" else list[float]
        data = [
            {"object": "embedding", "index": index, "embedding": encode(self._vector(words(text)))}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": words(texts), "total_tokens": words(texts)}
        return _json({"object": "list", "data": data, "model": body.get("model", ""), "usage": usage})

    def _vector(self, seed: int) -> list[float]:
        sign = -1 if self._record.answers_changed else 1
        return [sign * ((seed + position) % _DIMENSIONS + 1) / _DIMENSIONS for position in range(_DIMENSIONS)]

    def _rerank(self, request: Request) -> bytes:
        """Documents that share more words with the query score higher."""
        body = _object(request)
        query = set(str(body["query"]).lower().split())
        scores = [
            (len(query & set(str(document).lower().split())) / (len(query) or 1), index)
            for index, document in enumerate(body["documents"])
        ]
        ranked = sorted(scores, key=lambda score: (-score[0], score[1]))[: body.get("top_n", len(scores))]
        results = [{"index": index, "relevance_score": score} for score, index in ranked]
        return _json({"model": body.get("model", ""), "object": "list", "results": results})

    # Sleep and control

    def _sleep(self, request: Request) -> bytes:
        self._record.asleep = True
        if not self._behaviour.keeps_memory_asleep:
            self._memory.free()
        return _json({"status": "sleeping", "level": request.number("level", 1)})

    def _wake_up(self) -> bytes:
        self._memory.hold(self._behaviour.memory)
        self._record.asleep = False
        self.continued()
        return _json({"status": "awake"})

    def _state(self) -> bytes:
        return _json(as_dict(self._behaviour, self._record))

    def _control(self, request: Request) -> bytes:
        change(self._behaviour, _object(request))
        return self._state()


def _object(request: Request) -> Mapping[str, Any]:
    body = json.loads(request.body)
    if not isinstance(body, dict):
        raise ValueError("the body is no JSON object")
    return cast("Mapping[str, Any]", body)


def _json(payload: Mapping[str, Any]) -> bytes:
    return answer(json.dumps(payload, separators=(",", ":")).encode())


def _error(status: int, message: str) -> bytes:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": status}
    return answer(json.dumps({"error": error}).encode(), status)


def _base64(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _transcription(request: Request) -> bytes:
    """Names the parts of the form and their sizes, so that a test sees that every byte arrived."""
    boundary = request.header(b"content-type").partition(b"boundary=")[2].strip(b'"')
    if not boundary:
        raise ValueError("the body is no multipart form")
    sizes: dict[str, int] = {}
    for part in request.body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = head.partition(b' name="')[2].partition(b'"')[0]
        sizes[name.decode()] = len(content) - len(b"\r\n")
    return _json({"text": "tok0tok1tok2", "parts": sizes})
