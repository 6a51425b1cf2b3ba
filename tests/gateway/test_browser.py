"""What a real browser lets a page do with the models of a server that the page did not come from, or did."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from glowplug.config.apikeys import KeyEntry, digest
from tests.gateway.browser import PROGRAM, Page, browsing
from tests.gateway.conftest import Serve
from tests.gateway.raw import STREAM
from tests.gateway.upstream import SSE_HEAD, Received, Upstream, answer, chunked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed"),
]

KEYS = {digest("secret"): KeyEntry("page", None)}
ASK = """
const response = await fetch(%s, {
  method: "POST",
  headers: {"content-type": "application/json", "authorization": "Bearer secret"},
  body: %s,
});
window.reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
return [response.status, response.headers.get("x-glowplug-model")];
"""
SHOW_NEXT = """
const {value, done} = await window.reader.read();
const line = document.createElement("p");
line.textContent = done ? "the end" : value.trim();
document.body.append(line);
return document.body.lastElementChild.innerText;
"""


def ask(url: str, body: bytes = STREAM) -> str:
    return ASK % (json.dumps(f"{url}/v1/chat/completions"), json.dumps(body.decode()))


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browsing(tmp_path / "profile") as page:
        yield page


@pytest.fixture
async def elsewhere() -> AsyncIterator[str]:
    """The origin of a page on another port."""
    server = Upstream()
    server.handler = server.reply(answer(b"<!doctype html><title>Chat</title><body>", b"content-type: text/html"))
    await server.start()
    yield server.address
    await server.stop()


class Words:
    """An engine that streams what it is given, when it is given it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def __call__(self, request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD)
        while word := await self.queue.get():
            writer.write(chunked(b"data: " + word + b"\n\n"))
        writer.write(b"0\r\n\r\n")


async def shows_a_stream_word_by_word(page: Page, url: str, upstream: Upstream) -> None:
    upstream.handler = words = Words()
    assert await page.run(ask(url)) == [200, "m"]
    for word in (b"one", b"two", b"three"):
        words.queue.put_nowait(word)
        assert await page.run(SHOW_NEXT) == f"data: {word.decode()}"
    words.queue.put_nowait(b"")
    assert await page.run(SHOW_NEXT) == "the end"


async def test_a_page_of_an_allowed_origin_shows_a_stream(
    serve: Serve, upstream: Upstream, elsewhere: str, page: Page
) -> None:
    served = await serve(KEYS, cors_origins=[elsewhere])
    await page.open(elsewhere)
    await shows_a_stream_word_by_word(page, served.url, upstream)
    assert [request.method for request in upstream.received] == [b"POST"]


async def test_a_page_of_an_allowed_origin_sees_errors(
    serve: Serve, upstream: Upstream, elsewhere: str, page: Page
) -> None:
    served = await serve(KEYS, cors_origins=["*"])
    await page.open(elsewhere)
    assert await page.run(ask(served.url, b'{"model":"nope"}')) == [404, None]
    assert "There is no model 'nope' here" in await page.run(SHOW_NEXT)


@pytest.mark.parametrize("origins", [[], ["https://chat.example"]])
async def test_a_page_of_another_origin_gets_nothing(
    serve: Serve, upstream: Upstream, elsewhere: str, page: Page, origins: list[str]
) -> None:
    served = await serve(KEYS, cors_origins=origins)
    await page.open(elsewhere)
    with pytest.raises(RuntimeError, match="TypeError: Failed to fetch"):
        await page.run(ask(served.url))
    assert upstream.received == []


@pytest.mark.parametrize("origins", [[], ["https://chat.example"]])
async def test_a_page_of_the_server_itself_needs_no_permission(
    serve: Serve, upstream: Upstream, page: Page, origins: list[str]
) -> None:
    served = await serve(cors_origins=origins)
    await page.open(f"{served.url}/")
    await shows_a_stream_word_by_word(page, served.url, upstream)
