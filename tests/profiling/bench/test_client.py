"""The timing client, against a server that answers byte for byte what a test wants."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web

from glowplug.profiling.bench.bench_file import RequestSection
from glowplug.profiling.bench.client import PROMPTS, RequestFailed, Stream, timed_request

REQUEST = RequestSection(tokens=8)


def chunk(text, **more):
    return b"data: " + json.dumps({"choices": [{"text": text}], **more}).encode() + b"\n\n"


USAGE = b'data: {"choices": [], "usage": {"completion_tokens": 7}}\n\n'
DONE = b"data: [DONE]\n\n"


class Answering:
    """A server on a free port; `handler` answers every request."""

    def __init__(self, handler):
        self.handler = handler
        self.bodies = []
        self.paths = []

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/{path:.*}", self._handle)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_):
        await self.session.close()
        await self.runner.cleanup()

    async def ask(self, request=REQUEST):
        return await timed_request(self.session, self.url, "m", PROMPTS[0], request)

    async def _handle(self, request):
        self.paths.append(request.path)
        self.bodies.append(await request.json())
        return await self.handler(request)


def streaming(*parts, status=200, headers=None):
    async def handler(request):
        response = web.StreamResponse(status=status, headers=headers or {})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        return response

    return Answering(handler)


async def test_tokens_are_counted_by_the_engine_where_it_tells():
    async with streaming(chunk("a b"), chunk("c"), USAGE, DONE) as server:
        timing = await server.ask()
    assert (timing.tokens, timing.counted_by) == (7, "usage")
    assert 0 < timing.ttft <= timing.total


async def test_otherwise_pieces_with_text_are_counted():
    async with streaming(chunk(""), chunk("a"), chunk("b"), b": comment\n\n", chunk("", usage=None), DONE) as server:
        timing = await server.ask()
    assert (timing.tokens, timing.counted_by) == (2, "chunks")


def test_the_time_to_the_first_token_is_that_of_the_first_text():
    """What comes before it, such as an empty piece with the role, is no token; what comes after the last is none."""
    stream = Stream()
    for at, line in enumerate([chunk(""), chunk("a"), chunk("b"), chunk(""), USAGE, DONE]):
        stream.take(line.strip(), float(at))
    assert (stream.first, stream.last, stream.chunks, stream.usage) == (1.0, 2.0, 2, 7)


async def test_a_chat_is_asked_and_read_as_a_chat():
    pieces = [{"role": "assistant"}, {"reasoning_content": "hm"}, {"content": "a"}]
    parts = [b"data: " + json.dumps({"choices": [{"delta": piece}]}).encode() + b"\n\n" for piece in pieces]
    async with streaming(*parts, DONE) as server:
        timing = await server.ask(RequestSection(api="chat", tokens=8))
    assert timing.tokens == 2
    assert server.paths == ["/v1/chat/completions"]
    assert server.bodies[0]["messages"] == [{"role": "user", "content": PROMPTS[0]}]


async def test_the_request_is_greedy_streamed_and_of_fixed_length():
    async with streaming(chunk("a"), DONE) as server:
        await server.ask()
    (body,) = server.bodies
    assert (body["model"], body["prompt"], body["max_tokens"]) == ("m", PROMPTS[0], 8)
    assert (body["temperature"], body["stream"]) == (0, True)


async def test_where_it_woke_from_and_how_long_it_waited_is_taken_from_the_headers():
    headers = {"x-glowplug-woke-from": "parked", "x-glowplug-wait-ms": "250"}
    async with streaming(chunk("a"), DONE, headers=headers) as server:
        timing = await server.ask()
    assert (timing.woke_from, timing.waited) == ("parked", 0.25)


@pytest.mark.parametrize(
    ("parts", "status", "complaint"),
    [
        ([b'{"error": {"message": "The wake failed."}}'], 503, "The wake failed."),
        ([b"Internal Server Error"], 500, "status 500: Internal Server Error"),
        ([chunk("a"), b'data: {"error": {"message": "The engine failed."}}\n\n'], 200, "The engine failed."),
        ([chunk("a"), b'data: {"error": "plain"}\n\n'], 200, "plain"),
        ([chunk("a"), b"data: nonsense\n\n"], 200, "broke off"),
        ([DONE], 200, "no token"),
        ([], 200, "no token"),
    ],
)
async def test_an_answer_that_is_none(parts, status, complaint):
    async with streaming(*parts, status=status) as server:
        with pytest.raises(RequestFailed, match=complaint):
            await server.ask()


async def test_an_answer_that_breaks_off():
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(chunk("a"))
        request.transport.abort()
        return response

    async with Answering(handler) as server:
        with pytest.raises(RequestFailed, match="broke off"):
            await server.ask()


async def test_an_answer_that_takes_too_long():
    async def say_nothing(reader, writer):
        await reader.read()  # until the client has had enough
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(RequestFailed, match=r"no complete answer within 0\.05 s"):
            await timed_request(session, url, "m", PROMPTS[0], RequestSection(tokens=8, timeout=0.05))


def test_no_prompt_begins_like_another_one():
    assert len({prompt.split()[0] + prompt.split()[1] for prompt in PROMPTS}) == len(PROMPTS)
