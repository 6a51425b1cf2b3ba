"""Asking an engine that starts."""

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from glowplug.profiling.probe import Probe, ProbeError

TOKEN = b'data: {"choices": [{"text": "Paris"}]}\n\n'


class Server:
    """Answers by path from lists of answers; the last one stays."""

    def __init__(self, **answers):
        self.answers = {f"/{path.replace('__', '/')}": deque(given) for path, given in answers.items()}
        self.asked = []

    async def handle(self, request):
        body = json.loads(await request.text() or "null")
        self.asked.append((request.path, body))
        given = self.answers.get(request.path)
        if given is None:
            return web.Response(status=404, text="not here")
        status, content = given.popleft() if len(given) > 1 else given[0]
        if content is None:
            raise web.HTTPServiceUnavailable
        return web.Response(status=status, body=content if isinstance(content, bytes) else json.dumps(content).encode())


@asynccontextmanager
async def asking(**answers):
    server = Server(**answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with asyncio.timeout(30), Probe(lambda: ["http://127.0.0.1:1", base]) as probe:
            yield probe, server
    finally:
        await runner.cleanup()


async def healthy(probe):
    await probe.healthy()
    return probe


async def test_health_is_waited_for_and_tells_where_the_engine_is():
    async with asking(health=[(503, {}), (503, {}), (200, {})]) as (probe, server):
        await probe.healthy()
        assert [path for path, _ in server.asked] == ["/health"] * 3
        assert probe.base.startswith("http://127.0.0.1:")
        assert not probe.base.endswith(":1")


async def test_an_engine_without_health_is_healthy_when_it_lists_its_models():
    async with asking(v1__models=[(503, {}), (200, {"data": []})]) as (probe, _):
        await probe.healthy()


async def test_the_first_list_of_models_tells_their_names():
    answers = [(503, {}), (200, {"data": [{"id": "a"}, {"id": "b"}, {"no": 1}]})]
    async with asking(health=[(200, {})], v1__models=answers) as (probe, _):
        _, names = await (await healthy(probe)).models()
        assert names == ["a", "b"]


@pytest.mark.parametrize("answer", [(500, {"error": "CacheNotFound"}), (404, {}), (500, b"broken")])
async def test_an_engine_that_cannot_list_its_models_is_asked_once(answer):
    async with asking(health=[(200, {})], v1__models=[answer]) as (probe, _):
        assert await (await healthy(probe)).models() is None


async def test_a_list_of_another_shape_has_no_names():
    async with asking(health=[(200, {})], v1__models=[(200, ["x"])]) as (probe, _):
        assert (await (await healthy(probe)).models())[1] == ()


async def test_the_first_token_is_the_first_text_and_not_the_first_event():
    events = b'data: {"choices": []}\n\n: comment\n\ndata: {"choices": [{"text": ""}]}\n\n' + TOKEN
    async with asking(health=[(200, {})], v1__completions=[(200, events)]) as (probe, server):
        token = await (await healthy(probe)).first_token("m")
        assert (token.path, token.asked <= token.came) == ("/v1/completions", True)
        _, body = server.asked[-1]
        assert (body["model"], body["stream"], body["temperature"]) == ("m", True, 0)


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [{"delta": {"content": "Paris"}}]},
        {"choices": [{"delta": {"reasoning_content": "hm"}}]},
        {"choices": [{"message": {"content": "Paris"}}]},
    ],
)
async def test_an_engine_without_completions_is_asked_for_a_chat(event):
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    async with asking(health=[(200, {})], v1__chat__completions=[(200, data)]) as (probe, _):
        assert (await (await healthy(probe)).first_token("m")).path == "/v1/chat/completions"


async def test_an_embedding_model_gives_an_embedding_instead():
    answer = {"data": [{"embedding": [0.1]}]}
    async with asking(health=[(200, {})], v1__embeddings=[(200, answer)]) as (probe, _):
        assert (await (await healthy(probe)).first_token("m")).path == "/v1/embeddings"


async def test_an_engine_that_says_not_yet_is_asked_again():
    answers = [(503, {}), (429, {}), (200, TOKEN)]
    async with asking(health=[(200, {})], v1__completions=answers) as (probe, server):
        token = await (await healthy(probe)).first_token("m")
        assert len([path for path, _ in server.asked if path == "/v1/completions"]) == 3
        assert token.came >= token.asked


async def test_an_engine_that_gives_no_token_says_why():
    answers = {
        "v1__completions": [(400, {"error": "no such model"})],
        "v1__chat__completions": [(200, b"data: [DONE]")],
    }
    async with asking(health=[(200, {})], **answers) as (probe, _):
        with pytest.raises(ProbeError) as error:
            await (await healthy(probe)).first_token("m")
    text = str(error.value)
    assert "no such model" in text
    assert "/v1/chat/completions was answered with 200: data: [DONE]" in text
    assert "/v1/embeddings was answered with 404" in text
    assert "\n" not in text
