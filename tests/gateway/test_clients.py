"""The clients that people use: the openai and anthropic SDKs, and curl."""

import asyncio
import json
import queue
import shutil
import threading
from collections.abc import Iterator

import anthropic
import httpx2
import openai
import pytest
import uvloop

from glowplug.cluster.base import Rejected
from glowplug.config.models import ServerConfig
from glowplug.gateway.listening import listen, url_of
from glowplug.gateway.server import Gateway
from glowplug.scheduler.effects import RejectKind
from tests.gateway.conftest import Serve, Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import WAIT
from tests.gateway.upstream import SSE_HEAD, Received, Upstream, answer, chunked

WORDS = ["Glow", " plug", "s", " glow", " größer", "."]


def _openai_event(word: str) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


OPENAI_ANSWER = answer(
    json.dumps(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}
            ],
        }
    ).encode(),
    b"content-type: application/json",
)


def _anthropic_events() -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    events = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in WORDS),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 6}},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


class Engine:
    """Speaks both APIs, streaming or not."""

    def __init__(self, upstream: Upstream) -> None:
        upstream.handler = self
        self.break_off = False

    async def __call__(self, request: Received, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(request.body)
        is_messages = request.target.startswith(b"/v1/messages")
        if not asked.get("stream"):
            writer.write(OPENAI_ANSWER if not is_messages else self._message())
            return
        writer.write(SSE_HEAD)
        if is_messages:
            parts = _anthropic_events().split(b"\n\n")[:-1]
            events = [part + b"\n\n" for part in parts]
        else:
            events = [*map(_openai_event, WORDS), b"data: [DONE]\n\n"]
        if self.break_off:
            writer.write(chunked(*events[:4]))
            await writer.drain()
            writer.close()
            return
        for event in events:
            writer.write(chunked(event))
        writer.write(b"0\r\n\r\n")

    @staticmethod
    def _message() -> bytes:
        body = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": "".join(WORDS)}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 6},
        }
        return answer(json.dumps(body).encode(), b"content-type: application/json")


@pytest.fixture
def engine(upstream: Upstream) -> Engine:
    return Engine(upstream)


@pytest.fixture
def threaded() -> Iterator[str]:
    """The URL of a gateway that runs in a thread, for clients that block."""
    started: queue.Queue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def run() -> None:
        upstream = Upstream()
        await upstream.start()
        Engine(upstream)
        gateway = Gateway(Fleet([upstream.address]), ServerConfig(), None)
        listener = listen("127.0.0.1", 0)
        await gateway.start(listener)
        stop = asyncio.Event()
        started.put((url_of(listener), asyncio.get_running_loop(), stop))
        await stop.wait()
        gateway.stop_accepting()
        await gateway.close(0)
        await upstream.stop()

    thread = threading.Thread(target=uvloop.run, args=(run(),))
    thread.start()
    url, loop, stop = started.get(timeout=WAIT)
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join(WAIT)


MESSAGES = [{"role": "user", "content": "Hello"}]


def _openai(served: Served) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def _anthropic(served: Served) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=served.url, api_key="none", max_retries=0)


async def _openai_stream(client: openai.AsyncOpenAI) -> list[str]:
    stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)  # type: ignore[call-overload]
    return [part.choices[0].delta.content async for part in stream]


async def test_openai_answer(served: Served, engine: Engine) -> None:
    got = await _openai(served).chat.completions.create(model="m", messages=MESSAGES)  # type: ignore[arg-type]
    assert got.choices[0].message.content == "".join(WORDS)


async def test_openai_stream(served: Served, engine: Engine) -> None:
    assert await _openai_stream(_openai(served)) == WORDS


async def test_openai_stream_behind_a_heartbeat(serve: Serve, engine: Engine, fleet: Fleet) -> None:
    served = await serve(heartbeat=0.01)
    fleet.open.clear()
    asking = asyncio.create_task(_openai_stream(_openai(served)))
    await asyncio.wait_for(fleet.waiting.acquire(), WAIT)
    # Another client sees comments for a while; then the SDK's request got some too.
    async with served.http.post("/v1/x", json={"model": "m", "stream": True}) as got:
        for _ in range(6):
            await asyncio.wait_for(got.content.readline(), WAIT)
    fleet.open.set()
    assert await asyncio.wait_for(asking, WAIT) == WORDS


def test_openai_from_a_thread_of_its_own(threaded: str) -> None:
    client = openai.OpenAI(base_url=f"{threaded}/v1", api_key="none", max_retries=0)
    got = client.chat.completions.create(model="m", messages=MESSAGES)  # type: ignore[arg-type]
    assert got.choices[0].message.content == "".join(WORDS)
    stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)  # type: ignore[call-overload]
    assert [part.choices[0].delta.content for part in stream] == WORDS


def test_anthropic_from_a_thread_of_its_own(threaded: str) -> None:
    client = anthropic.Anthropic(base_url=threaded, api_key="none", max_retries=0)
    got = client.messages.create(model="m", max_tokens=9, messages=MESSAGES)  # type: ignore[arg-type]
    assert got.content[0].text == "".join(WORDS)  # type: ignore[union-attr]
    with client.messages.stream(model="m", max_tokens=9, messages=MESSAGES) as stream:  # type: ignore[arg-type]
        assert list(stream.text_stream) == WORDS


async def test_openai_models(served: Served, fleet: Fleet) -> None:
    fleet.aliases = {"m": ["alias"], "org/big": []}
    client = _openai(served)
    assert [model.id async for model in client.models.list()] == ["m", "org/big"]
    assert (await client.models.retrieve("alias")).id == "m"
    assert (await client.models.retrieve("org/big")).id == "org/big"


async def test_openai_raises_what_went_wrong(served: Served, fleet: Fleet) -> None:
    client = _openai(served)
    with pytest.raises(openai.NotFoundError, match="There is no model 'x' here; configured: m"):
        await client.chat.completions.create(model="x", messages=MESSAGES)  # type: ignore[arg-type]
    fleet.rejection = Rejected(RejectKind.QUEUE_FULL, "The queue of m is full.", 4.2)
    with pytest.raises(openai.RateLimitError, match="The queue of m is full") as caught:
        await client.chat.completions.create(model="m", messages=MESSAGES)  # type: ignore[arg-type]
    assert caught.value.response.headers["retry-after"] == "5"
    assert caught.value.code == "queue_full"


async def test_openai_stream_that_breaks_says_why(served: Served, engine: Engine) -> None:
    engine.break_off = True
    with pytest.raises(openai.APIError, match="The engine of m failed"):
        await _openai_stream(_openai(served))


async def test_openai_rejection_behind_a_heartbeat_says_why(serve: Serve, fleet: Fleet) -> None:
    served = await serve(heartbeat=0.01, queue_timeout=0.1)
    fleet.open.clear()
    with pytest.raises(openai.APIError, match="did not wake"):
        await _openai_stream(_openai(served))


async def test_anthropic_answer(served: Served, engine: Engine) -> None:
    got = await _anthropic(served).messages.create(model="m", max_tokens=9, messages=MESSAGES)  # type: ignore[arg-type]
    assert got.content[0].text == "".join(WORDS)  # type: ignore[union-attr]


async def test_anthropic_stream(served: Served, engine: Engine) -> None:
    async with _anthropic(served).messages.stream(model="m", max_tokens=9, messages=MESSAGES) as stream:  # type: ignore[arg-type]
        assert [text async for text in stream.text_stream] == WORDS


async def test_anthropic_raises_what_went_wrong(served: Served, fleet: Fleet) -> None:
    client = _anthropic(served)
    with pytest.raises(anthropic.NotFoundError, match="There is no model 'x' here; configured: m"):
        await client.messages.create(model="x", max_tokens=9, messages=MESSAGES)  # type: ignore[arg-type]
    fleet.rejection = Rejected(RejectKind.WAKE_FAILED, "m could not be woken.")
    with pytest.raises(anthropic.InternalServerError, match="m could not be woken"):
        await client.messages.create(model="m", max_tokens=9, messages=MESSAGES)  # type: ignore[arg-type]


async def test_anthropic_stream_that_breaks_says_why(served: Served, engine: Engine) -> None:
    engine.break_off = True
    with pytest.raises(anthropic.APIStatusError, match="The engine of m failed"):
        async with _anthropic(served).messages.stream(model="m", max_tokens=9, messages=MESSAGES) as stream:  # type: ignore[arg-type]
            async for _ in stream.text_stream:
                pass


async def test_httpx2_sees_that_an_answer_is_not_complete(served: Served, upstream: Upstream) -> None:
    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunked(b"half an ev"))
        await writer.drain()
        writer.close()

    upstream.handler = handler
    async with httpx2.AsyncClient() as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(f"{served.url}/v1/x", json={"model": "m"})


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_shows_a_stream_as_it_comes(served: Served, engine: Engine) -> None:
    body = json.dumps({"model": "m", "messages": MESSAGES, "stream": True})
    process = await asyncio.create_subprocess_exec(
        "curl", "-sN", "--fail", f"{served.url}/v1/chat/completions", "-d", body, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), WAIT)
    assert process.returncode == 0
    assert output == b"".join(map(_openai_event, WORDS)) + b"data: [DONE]\n\n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_fails_when_a_stream_breaks(served: Served, engine: Engine) -> None:
    engine.break_off = True
    process = await asyncio.create_subprocess_exec(
        "curl",
        "-sN",
        f"{served.url}/v1/chat/completions",
        "-d",
        '{"model":"m","stream":true}',
        stdout=asyncio.subprocess.PIPE,
    )
    await asyncio.wait_for(process.communicate(), WAIT)
    assert process.returncode == 18  # partial file
